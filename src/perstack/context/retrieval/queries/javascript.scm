; What a JavaScript module defines, functions kept in variables, properties and object literals included.
(class_declaration name: (_) @name) @class
(function_declaration name: (identifier) @name) @function
(generator_function_declaration name: (identifier) @name) @function
(method_definition name: [(property_identifier) (private_property_identifier)] @name) @method
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression) (generator_function)]) @function
(variable_declarator name: (identifier) @name value: (class)) @class
(program [(lexical_declaration (variable_declarator name: (identifier) @name) @constant)
          (variable_declaration (variable_declarator name: (identifier) @name) @constant)])
(export_statement (lexical_declaration (variable_declarator name: (identifier) @name) @constant))
(pair key: (property_identifier) @name value: [(arrow_function) (function_expression)]) @method
(assignment_expression
  left: (member_expression property: (property_identifier) @name)
  right: [(arrow_function) (function_expression)]) @function
(field_definition property: [(property_identifier) (private_property_identifier)] @name) @field
