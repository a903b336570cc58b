#include "text/tokenizer/character_set.h"

#include <stddef.h>

struct range {
    uint32_t low, high;
};

#define QN_WHITE(low, high) {low, high},
static const struct range white[] = {
#include "text/tokenizer/character_set.def"
};

#define QN_NUMERIC(low, high) {low, high},
static const struct range numeric[] = {
#include "text/tokenizer/character_set.def"
};

#define QN_PUNCTUATION(low, high) {low, high},
static const struct range punctuation[] = {
#include "text/tokenizer/character_set.def"
};

#define QN_WORD(low, high) {low, high},
static const struct range word[] = {
#include "text/tokenizer/character_set.def"
};

#define QN_HIDDEN(low, high) {low, high},
static const struct range hidden[] = {
#include "text/tokenizer/character_set.def"
};

#define QN_ACCENT(low, high) {low, high},
static const struct range accent[] = {
#include "text/tokenizer/character_set.def"
};

#define QN_MARK(low, high) {low, high},
static const struct range mark[] = {
#include "text/tokenizer/character_set.def"
};

#define QN_NORMALIZING(low, high) {low, high},
static const struct range normalizing[] = {
#include "text/tokenizer/character_set.def"
};

static const struct lower_row {
    uint32_t first, last, step;
    int32_t delta;
} lower_rows[] = {
#define QN_LOWER(first, last, step, delta) {first, last, step, delta},
#include "text/tokenizer/character_set.def"
};

static const struct script_row {
    uint32_t low, high, script;
} script_rows[] = {
#define QN_SCRIPT(low, high, script) {low, high, script},
#include "text/tokenizer/character_set.def"
};

/* ---- searching ------------------------------------------------------------------------------------------------ */

static bool contains(const struct range *ranges, size_t count, uint32_t c)
{
    size_t low = 0, high = count; /* ranges before low end below c, those from high on begin above it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c > ranges[middle].high)
            low = middle + 1;
        else if (c < ranges[middle].low)
            high = middle;
        else
            return true;
    }
    return false;
}

#define CONTAINS(set, c) contains(set, sizeof(set) / sizeof(set)[0], c)

bool qn_is_white(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return CONTAINS(white, c);
}

bool qn_is_numeric(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    return CONTAINS(numeric, c);
}

bool qn_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= 0x21 && c <= 0x2f) || (c >= 0x3a && c <= 0x40) || (c >= 0x5b && c <= 0x60) ||
               (c >= 0x7b && c <= 0x7e);
    return CONTAINS(punctuation, c);
}

bool qn_is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
    return CONTAINS(word, c);
}

bool qn_is_hidden(uint32_t c)
{
    if (c < 0x7f)
        return c < 0x20 && c != '\t' && c != '\n' && c != '\r';
    return CONTAINS(hidden, c);
}

bool qn_is_accent(uint32_t c)
{
    return c >= 0x300 && CONTAINS(accent, c);
}

bool qn_is_mark(uint32_t c)
{
    return c >= 0x300 && CONTAINS(mark, c);
}

bool qn_is_normalizing(uint32_t c)
{
    return c >= 0xa0 && CONTAINS(normalizing, c);
}

/* The fifth range begins a little late in the package too. */
bool qn_is_chinese(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

uint32_t qn_to_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    size_t low = 0, high = sizeof lower_rows / sizeof lower_rows[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct lower_row *row = &lower_rows[middle];
        if (c > row->last)
            low = middle + 1;
        else if (c < row->first)
            high = middle;
        else
            return (c - row->first) % row->step ? c : (uint32_t)((int32_t)c + row->delta);
    }
    return c;
}

uint32_t qn_script_of(uint32_t c)
{
    size_t low = 0, high = sizeof script_rows / sizeof script_rows[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c > script_rows[middle].high)
            low = middle + 1;
        else if (c < script_rows[middle].low)
            high = middle;
        else
            return script_rows[middle].script;
    }
    return 0;
}
