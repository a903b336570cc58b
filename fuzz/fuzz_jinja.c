/* Templates: compile, and render with a small conversation under tight limits. The first byte chooses the limits. */
#include <stdint.h>
#include <stdlib.h>

#include "quern/template.h"

static const char variables[] = "{\"messages\": [{\"role\": \"system\", \"content\": \"Be nice.\"}, {\"role\": "
                                "\"user\", \"content\": \"Hi <\\u00e9>\"},"
                                "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"function\": "
                                "{\"name\": \"f\", \"arguments\": {\"a\": [1, 2.5]}}}]}],"
                                "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": "
                                "{}}}], \"s\": \"Hello World\", \"n\": 7,"
                                "\"l\": [3, 1, \"x\", null], \"d\": {\"b\": 1, \"a\": \"\\ud83d\\ude00\"}, "
                                "\"add_generation_prompt\": true, \"bos_token\": \"<s>\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct qn_template_time now = {2026, 2, 28, 23, 59, 59, 0};
    uint8_t first = size ? data[0] : 0;
    const struct qn_template_render_options options = {
        .struct_size = sizeof options,
        .max_steps = 1000u << (first & 7),
        .max_memory = (size_t)1 << (16 + (first >> 3 & 7)),
        .max_output = 1 << 20,
        .max_depth = first & 128 ? 1000 : 100,
        .now = &now,
    };
    struct qn_template *template;
    struct qn_text out = {0};
    qn_status status = qn_template_compile(size ? (const char *)data + 1 : "", size ? size - 1 : 0, NULL, &template);
    if (!status) {
        status = qn_template_render(template, variables, sizeof variables - 1, &options, &out);
        if (status && (out.data || qn_status_code(status) == QN_INTERNAL))
            abort();
        qn_template_free(template);
    }
    qn_text_free(&out);
    qn_status_free(status);
    return 0;
}
