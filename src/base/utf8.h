/* UTF-8: strict decoding (no overlong forms, no surrogates), encoding, cut sequences. */
#ifndef QN_BASE_UTF8_H
#define QN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes of the character that `lead` starts, 0 when no character starts with it. */
static inline size_t qn_utf8_length(uint8_t lead)
{
    return lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

/* Decodes the character at text[0..size), size > 0. Returns its length; 0 when the bytes there are not UTF-8. */
static inline size_t qn_utf8_decode(const char *text, size_t size, uint32_t *codepoint)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t length = qn_utf8_length(s[0]);
    if (length == 1) {
        *codepoint = s[0];
        return 1;
    }
    if (length == 0 || length > size)
        return 0;
    uint32_t c = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if ((length == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) || (length == 4 && (c < 0x10000 || c > 0x10ffff)))
        return 0;
    *codepoint = c;
    return length;
}

/* Length of the character at text[0..size), size > 0; 1 for a byte that starts none. */
static inline size_t qn_utf8_step(const char *text, size_t size)
{
    uint32_t c;
    size_t length = qn_utf8_decode(text, size, &c);
    return length ? length : 1;
}

/* Encodes a code point below 0x110000; returns the bytes written. */
static inline size_t qn_utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* True when text[0..size), size > 0, is the beginning of a character whose end is missing: more bytes could complete
 * it. */
static inline bool qn_utf8_is_cut(const char *text, size_t size)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t length = qn_utf8_length(s[0]);
    if (length < 2 || size >= length)
        return false;
    if (size >= 2) {
        uint8_t low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
        uint8_t high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
        if (s[1] < low || s[1] > high)
            return false;
    }
    return size < 3 || (s[2] & 0xc0) == 0x80;
}

#endif
