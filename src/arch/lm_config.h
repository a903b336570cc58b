/* Keys of a language model in GGUF's vocabulary, read with a status that sticks: after the first error every call gives
 * its fallback. An architecture reads keys of its own from its build function through lm->keys.
 *
 * Names are relative to the architecture: "expert_count" reads "qwen2_moe.expert_count". Errors name file and key.
 */
#ifndef QN_ARCH_LM_CONFIG_H
#define QN_ARCH_LM_CONFIG_H

#include "arch/arch.h"

struct qn_lm_keys {
    const struct qn_lm_source *source;
    struct qn_str arch;
    qn_status *status;
};

/* The value of a key, or element 0 of an array; false when absent. */
bool qn_lm_key_find(const struct qn_lm_keys *keys, const char *name, struct qn_lm_value *out);
bool qn_lm_key_has(const struct qn_lm_keys *keys, const char *name);
/* A whole number from 0 to UINT32_MAX, or an array with one equal value a layer. Absent: the fallback. */
uint32_t qn_lm_key_u32(const struct qn_lm_keys *keys, const char *name, uint32_t fallback);
/* The same; absent is an error. */
uint32_t qn_lm_key_need_u32(const struct qn_lm_keys *keys, const char *name);
/* A value that may differ from layer to layer: element `layer` of an array, or the plain value for all. An array that
 * ends before is an error. */
uint32_t qn_lm_key_u32_at(const struct qn_lm_keys *keys, const char *name, uint32_t layer, uint32_t fallback);
double qn_lm_key_f64_at(const struct qn_lm_keys *keys, const char *name, uint32_t layer, double fallback);
bool qn_lm_key_bool_at(const struct qn_lm_keys *keys, const char *name, uint32_t layer, bool fallback);
/* A finite number, of any type. */
double qn_lm_key_f64(const struct qn_lm_keys *keys, const char *name, double fallback);
bool qn_lm_key_bool(const struct qn_lm_keys *keys, const char *name, bool fallback);
/* The model's bytes. Absent: a view with data NULL. */
struct qn_str qn_lm_key_str(const struct qn_lm_keys *keys, const char *name);

#endif
