/* SentencePiece's precompiled normalisation: which characters become which text. */
#ifndef QN_TEXT_CHARSMAP_H
#define QN_TEXT_CHARSMAP_H

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

struct qn_charsmap {
    const uint8_t *units; /* a double array of unit_count little-endian u32 */
    const char *texts;    /* the replacements, each terminated */
    uint32_t unit_count, text_bytes;
};

/* Copies the data into the arena; empty data is a map without an entry. */
qn_status qn_charsmap_init(struct qn_charsmap *map, struct qn_str data, struct qn_arena *arena) QN_MUST_USE;

/* The replacement of the longest prefix of text[0..size) that has one, or of the shortest; returns that prefix's
 * length, 0 when there is none. */
size_t qn_charsmap_find(const struct qn_charsmap *map, const char *text, size_t size, bool longest,
                        struct qn_str *replacement);

#endif
