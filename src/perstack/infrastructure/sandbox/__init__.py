"""Where anything from the checkout runs. One contract, one file a back end."""
