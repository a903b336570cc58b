/* The alphabet of GPT-2: every byte as one printable character, so that byte strings can stand in a text file.
 * Printable bytes of Latin-1 stand for themselves, the others for U+0100 and on. */
#ifndef QN_TEXT_BYTE_LEVEL_H
#define QN_TEXT_BYTE_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The byte that a code point stands for, or -1. */
static inline int32_t qn_byte_level_byte(uint32_t c)
{
    if ((c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff))
        return (int32_t)c;
    if (c < 0x100 || c > 0x143)
        return -1;
    uint32_t n = c - 0x100; /* the others in order: 00 to 20, 7f to a0, ad */
    return n <= 0x20 ? (int32_t)n : n < 67 ? (int32_t)(n - 0x21 + 0x7f) : 0xad;
}

/* The code point that stands for a byte. */
static inline uint32_t qn_byte_level_character(uint8_t byte)
{
    if ((byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad))
        return byte;
    return 0x100u + (byte <= 0x20 ? byte : byte == 0xad ? 67u : byte - 0x7fu + 0x21u);
}

/* Turns text back into bytes; out has room for `size`. False when a character is not of the alphabet. */
bool qn_byte_level_decode(const char *text, size_t size, char *out, size_t *out_size);

#endif
