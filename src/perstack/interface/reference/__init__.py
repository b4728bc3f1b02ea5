"""Reference pages made from the code, so that they cannot tell anything else. Explanations are written by hand."""
