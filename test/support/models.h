/* What tests of models share. Assertions fail the test that calls. */
#ifndef QN_TEST_SUPPORT_MODELS_H
#define QN_TEST_SUPPORT_MODELS_H

#include "support/testing.h"

/* The largest |found - expected| of `count` numbers over the range of those expected. All must be finite. */
double qn_test_error_over_range(const float *found, const float *expected, size_t count);

/* Multiplies one f32 tensor of a GGUF file in place. */
void qn_test_scale_tensor(const char *gguf, const char *tensor, float factor);

/* A language model that has been changed: with `words` opening it must fail with `code` (QN_OK: any) and these words,
 * and name `file`; without it must run. */
void qn_test_changed_model(const char *path, enum qn_code code, const char *words, const char *file);

#endif
