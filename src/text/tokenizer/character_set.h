/* What the `tokenizers` package holds of a code point: each of its libraries has Unicode tables of its own version, and
 * a text must be cut where theirs cut it. */
#ifndef QN_TEXT_CHARACTER_SET_H
#define QN_TEXT_CHARACTER_SET_H

#include <stdbool.h>
#include <stdint.h>

bool qn_is_white(uint32_t c);
bool qn_is_numeric(uint32_t c);     /* digits, and other numbers such as fractions */
bool qn_is_punctuation(uint32_t c); /* ASCII's signs all belong to it */
bool qn_is_word(uint32_t c);        /* \w of a regular expression */
bool qn_is_hidden(uint32_t c);      /* what cleaning drops; tab and line ends do not count */
bool qn_is_accent(uint32_t c);      /* marks that BERT strips */
bool qn_is_mark(uint32_t c);        /* combining marks of every kind */
bool qn_is_normalizing(uint32_t c); /* has a decomposition or a place in the order of marks */
bool qn_is_chinese(uint32_t c);     /* the ranges that BERT surrounds with spaces */

/* The small letter, or c itself. U+0130 becomes two, of which this is not the place. */
uint32_t qn_to_lower(uint32_t c);

/* The script as a number; 0 for what goes with any. */
uint32_t qn_script_of(uint32_t c);

#endif
