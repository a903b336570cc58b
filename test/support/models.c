#include "support/models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf/gguf.h"
#include "quern/llm.h"
#include "quern/model.h"

double qn_test_error_over_range(const float *found, const float *expected, size_t count)
{
    double worst = 0, low = expected[0], high = expected[0];
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(found[i]));
        worst = fmax(worst, fabs((double)found[i] - expected[i]));
        low = fmin(low, expected[i]);
        high = fmax(high, expected[i]);
    }
    return worst / (high - low);
}

void qn_test_scale_tensor(const char *path, const char *tensor, float factor)
{
    struct qn_gguf *gguf;
    qn_assert_ok(qn_gguf_open(path, NULL, &gguf));
    const struct qn_gguf_tensor *found = qn_gguf_tensor(gguf, qn_str_from(tensor));
    assert_true(found && found->dtype == QN_DTYPE_F32);
    size_t count = (size_t)found->bytes / sizeof(float);
    float *values = malloc(found->bytes);
    memcpy(values, qn_gguf_tensor_data(gguf, found), found->bytes);
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fseek(file, (long)found->offset, SEEK_SET), 0);
    assert_int_equal(fwrite(values, sizeof(float), count, file), count);
    fclose(file);
    free(values);
    qn_gguf_close(gguf);
}

void qn_test_changed_model(const char *path, enum qn_code code, const char *words, const char *file)
{
    struct qn_model *model = NULL;
    struct qn_llm *llm = NULL;
    qn_status status = qn_model_open(path, NULL, &model);
    if (!status)
        status = qn_llm_create(model, NULL, &llm);
    if (!words) {
        qn_assert_ok(status);
        qn_assert_ok(qn_llm_eval(llm, (int32_t[]){1, 2, 3}, 3, NULL));
    } else {
        if (!status)
            fail_msg("accepted: expected '%s'", words);
        if (!strstr(qn_status_message(status), file))
            fail_msg("the message does not name the file: %s", qn_status_message(status));
        qn_assert_fails(status, code == QN_OK ? qn_status_code(status) : code, words);
    }
    qn_llm_destroy(llm);
    qn_model_close(model);
}
