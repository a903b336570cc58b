#include "text/tokenizer/byte_level.h"

#include "base/utf8.h"

bool qn_byte_level_decode(const char *text, size_t size, char *out, size_t *out_size)
{
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t c;
        size_t length = qn_utf8_decode(text + at, size - at, &c);
        int32_t byte = length ? qn_byte_level_byte(c) : -1;
        if (byte < 0)
            return false;
        out[count++] = (char)byte;
        at += length;
    }
    *out_size = count;
    return true;
}
