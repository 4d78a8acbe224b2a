"""The kinds of token that the readers ask for, as plain names.

Looking a member up in sqlglot's enumeration costs more than the comparison it is for, and the
readers do it for every token.
"""

from __future__ import annotations

from sqlglot.tokenizer_core import TokenType

BYTE_STRING = TokenType.BYTE_STRING
COLON_EQ = TokenType.COLON_EQ
COMMA = TokenType.COMMA
COMMAND = TokenType.COMMAND
CREATE = TokenType.CREATE
DASH = TokenType.DASH
DCOLON = TokenType.DCOLON
DEFAULT = TokenType.DEFAULT
DOT = TokenType.DOT
DPIPE = TokenType.DPIPE
EQ = TokenType.EQ
EXECUTE = TokenType.EXECUTE
FETCH = TokenType.FETCH
GRANT = TokenType.GRANT
HEREDOC_STRING = TokenType.HEREDOC_STRING
IDENTIFIER = TokenType.IDENTIFIER
IN = TokenType.IN
INTO = TokenType.INTO
L_BRACKET = TokenType.L_BRACKET
L_PAREN = TokenType.L_PAREN
MOD = TokenType.MOD
NATIONAL_STRING = TokenType.NATIONAL_STRING
NOT = TokenType.NOT
NULL = TokenType.NULL
NUMBER = TokenType.NUMBER
RAW_STRING = TokenType.RAW_STRING
R_BRACKET = TokenType.R_BRACKET
R_PAREN = TokenType.R_PAREN
SEMICOLON = TokenType.SEMICOLON
SHOW = TokenType.SHOW
STAR = TokenType.STAR
STRING = TokenType.STRING
UNICODE_STRING = TokenType.UNICODE_STRING
UPDATE = TokenType.UPDATE
VAR = TokenType.VAR
