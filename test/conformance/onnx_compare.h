/* Results of models against what is expected, by the rules of the ONNX backend tests. */
#ifndef QN_TEST_CONFORMANCE_ONNX_COMPARE_H
#define QN_TEST_CONFORMANCE_ONNX_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/session.h"

/* |found - expected| <= absolute + relative * |expected|, NaN equal to NaN; strings, bools, dtypes and shapes exactly.
 * With `of_range`, relative is to the difference of the tensor's extremes instead. With `loose`, arg-max and cosine
 * alone. */
struct onnx_tolerance {
    double relative, absolute;
    bool of_range, loose;
};

/* False with words of the first difference. */
bool onnx_compare(const struct qn_data *found, const struct qn_data *expected, const struct onnx_tolerance *tolerance,
                  char *words, size_t size);

/* Mixes all bytes of a result, kinds and shapes included, into *hash. */
void onnx_hash(const struct qn_data *data, uint64_t *hash);

#endif
