/* Weights as transformers knows them. Most lie in the file as they are; quantised ones are brought together of their
 * parts and given in a type that holds their values exactly, where there is one:
 *
 *   GPTQ, AWQ   (code - zero point) * scale, 2 to 8 bits, a scale for `group` inputs: q4_0 where all zero points are 8,
 *               else q8_0, both with the same f16 scale and so without loss; f32 where groups are no multiples of 32,
 *               inputs are not in order (desc_act), or scales are no f16
 *   fp8         value * scale of a block, a row or the tensor: f32; f16 without a scale
 *   mxfp4       the same codes in the order of GGUF's blocks
 */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "format/hf/hf.h"
#include "quant/quant.h"

enum { CODES, ZEROS, SCALES, INDEX };
enum { BLOCK = 32, MXFP4_BYTES = 17 };

/* ---- what the configuration says ------------------------------------------------------------------------------ */

static qn_status find_method(struct qn_hf *hf, enum qn_hf_source_kind *kind, const struct qn_json **config)
{
    *config = qn_hf_json(hf, "quantization_config");
    *kind = QN_HF_PLAIN;
    if (!*config)
        return NULL;
    struct qn_str method = qn_hf_member_str(hf, *config, "quant_method"),
                  format = qn_hf_member_str(hf, *config, "format");
    if (hf->status)
        return hf->status;
    if (qn_str_is(method, "gptq"))
        *kind = QN_HF_GPTQ;
    else if (qn_str_is(method, "awq"))
        *kind = QN_HF_AWQ;
    else if (qn_str_is(method, "fp8") || qn_str_is(method, "fbgemm_fp8") ||
             (qn_str_is(method, "compressed-tensors") && qn_str_is(format, "float-quantized")))
        *kind = QN_HF_FP8;
    else if (qn_str_is(method, "mxfp4"))
        *kind = QN_HF_MXFP4;
    else
        return QN_ERROR(QN_UNSUPPORTED,
                        "key 'quantization_config': weights quantised by '%.*s%s%.*s' cannot be read; expected gptq, "
                        "awq, fp8 or mxfp4, or the model without quantisation",
                        QN_STR_ARG(method), format.data ? ", " : "", QN_STR_ARG(format));
    struct qn_str version = qn_hf_member_str(hf, *config, "version");
    if (!hf->status && *kind == QN_HF_AWQ && version.data && !qn_str_is(version, "gemm") && !qn_str_is(version, "GEMM"))
        return QN_ERROR(QN_UNSUPPORTED, "key 'quantization_config': AWQ in the layout '%.*s'; expected gemm",
                        QN_STR_ARG(version));
    return hf->status;
}

/* ---- finding the parts ---------------------------------------------------------------------------------------- */

static const struct qn_set_tensor *find_part(const struct qn_hf *hf, struct qn_str base, const char *suffix)
{
    char name[512];
    size_t size = strlen(suffix);
    if (base.size + size > sizeof name)
        return NULL;
    memcpy(name, base.data, base.size);
    memcpy(name + base.size, suffix, size);
    return qn_set_find(&hf->set, (struct qn_str){name, base.size + size});
}

/* The name without the suffix; false when it ends otherwise. */
static bool cut_suffix(struct qn_str name, const char *suffix, struct qn_str *base)
{
    if (!qn_str_ends(name, qn_str_from(suffix)))
        return false;
    *base = (struct qn_str){name.data, name.size - strlen(suffix)};
    return true;
}

static qn_status fail_parts(const struct qn_set_tensor *t, const char *expected)
{
    return QN_ERROR(QN_INVALID_FILE, "tensor '%s' and its companions: expected %s", t->name.data, expected);
}

/* `count` codes of `bits` bits from `first` in the bits of row `row` of 32-bit numbers, the lowest bits first. */
static uint32_t code_at(const struct qn_set_tensor *t, uint64_t word_stride, uint64_t word_base, uint32_t bits,
                        uint64_t index)
{
    uint64_t bit = index * bits, word = bit / 32;
    uint32_t low, high = 0;
    const uint8_t *data = t->data;
    memcpy(&low, data + 4 * (word_base + word * word_stride), 4);
    if (bit % 32 + bits > 32)
        memcpy(&high, data + 4 * (word_base + (word + 1) * word_stride), 4);
    return (uint32_t)((((uint64_t)high << 32 | low) >> bit % 32) & ((1u << bits) - 1));
}

/* Where AWQ's column j of eight stands among the nibbles. */
static const uint8_t awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static uint32_t awq_code(const struct qn_set_tensor *t, uint64_t row, uint64_t column, uint64_t columns)
{
    uint32_t word;
    memcpy(&word, (const uint8_t *)t->data + 4 * (row * (columns / 8) + column / 8), 4);
    return word >> 4 * awq_place[column % 8] & 15;
}

static uint32_t zero_point(const struct qn_hf_source *s, uint64_t group, uint64_t out)
{
    uint64_t outs = s->dims[0];
    if (s->kind == QN_HF_AWQ)
        return s->parts[ZEROS] ? awq_code(s->parts[ZEROS], group, out, outs) : 8;
    return code_at(s->parts[ZEROS], 1, group * (outs * s->bits / 32), s->bits, out) + s->zero_shift;
}

static float scale_of(const struct qn_hf_source *s, uint64_t group, uint64_t out)
{
    float value;
    uint8_t raw[8];
    qn_set_read(s->parts[SCALES], group * s->dims[0] + out, 1, raw);
    qn_quant(s->parts[SCALES]->dtype)->dequantise(raw, &value, 1);
    return value;
}

static uint64_t group_of(const struct qn_hf_source *s, uint64_t in)
{
    int32_t group;
    if (!s->parts[INDEX])
        return in / s->group;
    memcpy(&group, (const uint8_t *)s->parts[INDEX]->data + 4 * in, 4);
    return (uint64_t)group; /* checked when the parts were found */
}

/* Groups are runs of inputs in order, whatever the index is for; false when the index says otherwise. */
static qn_status check_index(struct qn_hf_source *s, uint64_t groups, bool *ordered)
{
    *ordered = true;
    for (uint64_t i = 0; s->parts[INDEX] && i < s->dims[1]; i++) {
        uint64_t group = group_of(s, i);
        if (group >= groups)
            return QN_ERROR(QN_INVALID_FILE, "tensor '%s': group %" PRIu64 " of %" PRIu64, s->parts[INDEX]->name.data,
                            group, groups);
        *ordered = *ordered && group == i / s->group;
    }
    if (*ordered)
        s->parts[INDEX] = NULL;
    return NULL;
}

static bool has_shape(const struct qn_set_tensor *t, qn_dtype dtype, uint64_t rows, uint64_t columns)
{
    return t && qn_set_is_plain(t) && t->dtype == dtype && t->rank == 2 && t->dims[0] == rows && t->dims[1] == columns;
}

static bool zeros_are(const struct qn_hf_source *s, uint64_t groups, uint32_t value)
{
    for (uint64_t g = 0; g < groups; g++)
        for (uint64_t o = 0; o < s->dims[0]; o++)
            if (zero_point(s, g, o) != value)
                return false;
    return true;
}

static qn_status add_codes(struct qn_hf *hf, const struct qn_set_tensor *t, struct qn_str base,
                           const struct qn_json *config, enum qn_hf_source_kind kind)
{
    struct qn_hf_source s = {.kind = kind, .rank = 2};
    s.parts[CODES] = t;
    s.parts[ZEROS] = find_part(hf, base, ".qzeros");
    s.parts[SCALES] = find_part(hf, base, ".scales");
    s.parts[INDEX] = kind == QN_HF_GPTQ ? find_part(hf, base, ".g_idx") : NULL;
    double bits = qn_hf_member_f64(hf, config, "bits", qn_hf_member_f64(hf, config, "w_bit", 4));
    double group = qn_hf_member_f64(hf, config, "group_size", qn_hf_member_f64(hf, config, "q_group_size", 128));
    struct qn_str format = qn_hf_member_str(hf, config, "checkpoint_format");
    QN_TRY(hf->status);
    if (bits < 2 || bits > 8 || (kind == QN_HF_AWQ && bits != 4))
        return QN_ERROR(QN_UNSUPPORTED, "key 'quantization_config.bits' is %g; expected %s", bits,
                        kind == QN_HF_AWQ ? "4" : "2 to 8");
    const struct qn_set_tensor *scales = s.parts[SCALES];
    if (t->rank != 2 || t->dtype != QN_DTYPE_I32 || !qn_set_is_plain(t) || !scales || scales->rank != 2 ||
        qn_dtype_info(scales->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
        return fail_parts(t, "i32 codes [.., ..] and floating-point scales [groups, out]");
    s.bits = (uint32_t)bits;
    s.zero_shift = format.data && qn_str_is(format, "gptq_v2") ? 0 : 1;
    uint64_t packed = kind == QN_HF_GPTQ ? t->dims[0] : t->dims[1],
             plain = kind == QN_HF_GPTQ ? t->dims[1] : t->dims[0];
    uint64_t whole = packed * 32 / s.bits; /* of a tensor that is all in the file */
    s.dims[0] = kind == QN_HF_GPTQ ? plain : whole;
    s.dims[1] = kind == QN_HF_GPTQ ? whole : plain;
    if (group <= 0 || group > (double)s.dims[1])
        group = (double)s.dims[1];
    s.group = (uint32_t)group;
    uint64_t groups = s.group ? (s.dims[1] + s.group - 1) / s.group : 0;
    if (packed * 32 % s.bits || !groups || scales->dims[0] != groups || scales->dims[1] != s.dims[0] ||
        s.dims[0] * s.bits % 32 ||
        (s.parts[ZEROS] ? !has_shape(s.parts[ZEROS], QN_DTYPE_I32, groups, s.dims[0] * s.bits / 32)
                        : kind == QN_HF_GPTQ))
        return fail_parts(t,
                          "codes, zero points and scales of one size of groups (key 'quantization_config.group_size')");
    const struct qn_set_tensor *index = s.parts[INDEX];
    if (index && (index->dtype != QN_DTYPE_I32 || index->elements != s.dims[1] || !qn_set_is_plain(index)))
        return fail_parts(t, "an i32 g_idx of one group an input");
    bool ordered;
    QN_TRY(check_index(&s, groups, &ordered));
    if (!ordered || s.group % BLOCK || s.dims[1] % BLOCK || scales->dtype != QN_DTYPE_F16)
        s.dtype = QN_DTYPE_F32;
    else
        s.dtype = s.bits == 4 && zeros_are(&s, groups, 8) ? QN_DTYPE_Q4_0 : QN_DTYPE_Q8_0;
    if (s.dtype == QN_DTYPE_Q8_0 && s.bits == 8 && !zeros_are(&s, groups, 128))
        s.dtype = QN_DTYPE_F32; /* levels that a signed byte does not hold */
    s.name = qn_arena_printf(&hf->arena, "%.*s.weight", (int)base.size, base.data);
    return s.name.data && qn_array_push(&hf->sources, hf->allocator, s) ? NULL : QN_OOM();
}

static qn_status add_fp8(struct qn_hf *hf, const struct qn_set_tensor *t, const struct qn_set_tensor *scale)
{
    struct qn_hf_source s = {.name = t->name, .kind = QN_HF_FP8, .rank = t->rank, .dtype = QN_DTYPE_F16};
    memcpy(s.dims, t->dims, sizeof s.dims);
    s.parts[CODES] = t;
    s.parts[SCALES] = scale;
    if (scale) {
        uint64_t rows = t->rank >= 2 ? t->dims[t->rank - 2] : 1, columns = t->rank ? t->dims[t->rank - 1] : 1;
        uint64_t a = 1, b = 1;
        s.dtype = QN_DTYPE_F32;
        if (scale->elements != 1) {
            if (scale->rank == 1 && scale->dims[0] == rows) {
                a = rows;
            } else if (scale->rank == t->rank && t->rank >= 2) {
                a = scale->dims[scale->rank - 2];
                b = scale->dims[scale->rank - 1];
                for (uint32_t i = 0; i + 2 < t->rank; i++)
                    if (scale->dims[i] != t->dims[i])
                        return fail_parts(t, "scales for the same stack of matrices");
            } else {
                return fail_parts(t, "one scale, one a row, or one a block");
            }
        }
        if (!a || !b || a > rows || b > columns || qn_dtype_info(scale->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
            return fail_parts(t, "floating-point scales, at most one an element");
        s.block[0] = (uint32_t)((rows + a - 1) / a);
        s.block[1] = (uint32_t)((columns + b - 1) / b);
        const struct qn_json *said = qn_json_member(qn_hf_json(hf, "quantization_config"), "weight_block_size");
        if (said && said->kind == QN_JSON_ARRAY && said->size == 2 && qn_json_first(said)->kind == QN_JSON_INT &&
            qn_json_next(qn_json_first(said))->kind == QN_JSON_INT && scale->elements != 1) {
            int64_t h = qn_json_first(said)->integer, w = qn_json_next(qn_json_first(said))->integer;
            if (h <= 0 || w <= 0 || h > UINT32_MAX || w > UINT32_MAX || (rows + (uint64_t)h - 1) / (uint64_t)h != a ||
                (columns + (uint64_t)w - 1) / (uint64_t)w != b)
                return fail_parts(t, "scales for blocks as key 'quantization_config.weight_block_size' says");
            s.block[0] = (uint32_t)h;
            s.block[1] = (uint32_t)w;
        }
    }
    return qn_array_push(&hf->sources, hf->allocator, s) ? NULL : QN_OOM();
}

/* <name>_blocks u8 [.., blocks, 16] and <name>_scales u8 [.., blocks]. */
static qn_status add_mxfp4(struct qn_hf *hf, const struct qn_set_tensor *t, struct qn_str base)
{
    struct qn_hf_source s = {.kind = QN_HF_MXFP4, .dtype = QN_DTYPE_MXFP4, .rank = t->rank - 1};
    const struct qn_set_tensor *scales = find_part(hf, base, "_scales");
    s.parts[CODES] = t;
    s.parts[SCALES] = scales;
    bool ok = scales && t->dtype == QN_DTYPE_U8 && scales->dtype == QN_DTYPE_U8 && qn_set_is_plain(t) &&
              qn_set_is_plain(scales) && t->rank >= 3 && t->dims[t->rank - 1] == BLOCK / 2 &&
              scales->rank == t->rank - 1;
    for (uint32_t i = 0; ok && i < scales->rank; i++) {
        ok = scales->dims[i] == t->dims[i];
        s.dims[i] = t->dims[i];
    }
    if (!ok)
        return fail_parts(t, "u8 blocks [.., blocks, 16] and scales [.., blocks]");
    s.dims[s.rank - 1] *= BLOCK;
    s.name = base;
    return qn_array_push(&hf->sources, hf->allocator, s) ? NULL : QN_OOM();
}

static qn_status add_plain(struct qn_hf *hf, const struct qn_set_tensor *tensor)
{
    struct qn_hf_source source = {
        .name = tensor->name, .dtype = tensor->dtype, .rank = tensor->rank, .parts = {tensor}};
    memcpy(source.dims, tensor->dims, sizeof source.dims);
    return qn_array_push(&hf->sources, hf->allocator, source) ? NULL : QN_OOM();
}

static bool is_f8(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F8E4M3FN || dtype == QN_DTYPE_F8E5M2 || dtype == QN_DTYPE_F8E4M3FNUZ ||
           dtype == QN_DTYPE_F8E5M2FNUZ;
}

/* A part of a weight that stands in the list by another of its parts, or what only other runtimes use. */
static bool is_companion(const struct qn_hf *hf, struct qn_str name, enum qn_hf_source_kind kind)
{
    static const char *const codes[] = {".qzeros", ".scales", ".g_idx"};
    static const char *const scales[] = {".weight_scale_inv", ".weight_scale",   ".input_scale",
                                         ".activation_scale", ".input_scale_ub", ".k_scale",
                                         ".v_scale",          ".q_scale",        ".kv_scale"};
    struct qn_str base;
    for (size_t i = 0; i < 3 && (kind == QN_HF_GPTQ || kind == QN_HF_AWQ); i++)
        if (cut_suffix(name, codes[i], &base) && find_part(hf, base, ".qweight"))
            return true;
    for (size_t i = 0; i < sizeof scales / sizeof scales[0] && kind == QN_HF_FP8; i++)
        if (cut_suffix(name, scales[i], &base))
            return true;
    return kind == QN_HF_MXFP4 && cut_suffix(name, "_scales", &base) && find_part(hf, base, "_blocks");
}

static qn_status add_source(struct qn_hf *hf, const struct qn_set_tensor *t, enum qn_hf_source_kind kind,
                            const struct qn_json *config)
{
    struct qn_str base;
    if (is_companion(hf, t->name, kind))
        return NULL;
    if ((kind == QN_HF_GPTQ || kind == QN_HF_AWQ) && cut_suffix(t->name, ".qweight", &base))
        return add_codes(hf, t, base, config, kind);
    if (kind == QN_HF_MXFP4 && cut_suffix(t->name, "_blocks", &base) && t->rank >= 2)
        return add_mxfp4(hf, t, base);
    if (is_f8(t->dtype) && kind == QN_HF_FP8) {
        const struct qn_set_tensor *scale = NULL;
        if (cut_suffix(t->name, ".weight", &base)) {
            scale = find_part(hf, base, ".weight_scale_inv");
            scale = scale ? scale : find_part(hf, base, ".weight_scale");
        }
        return add_fp8(hf, t, scale);
    }
    if (is_f8(t->dtype))
        return add_fp8(hf, t, NULL);
    return add_plain(hf, t);
}

qn_status qn_hf_make_sources(struct qn_hf *hf)
{
    enum qn_hf_source_kind kind;
    const struct qn_json *config;
    QN_TRY(find_method(hf, &kind, &config));
    hf->float_activations = kind == QN_HF_GPTQ || kind == QN_HF_AWQ;
    for (uint32_t i = 0; i < hf->set.tensors.count; i++)
        QN_TRY(add_source(hf, &hf->set.tensors.items[i], kind, config));
    return NULL;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

/* The code less its zero point. */
static int32_t level(const struct qn_hf_source *s, uint64_t out, uint64_t in, uint32_t zero)
{
    uint32_t code = s->kind == QN_HF_AWQ ? awq_code(s->parts[CODES], in, out, s->dims[0])
                                         : code_at(s->parts[CODES], s->dims[0], out, s->bits, in);
    return (int32_t)code - (int32_t)zero;
}

static void read_codes_f32(const struct qn_hf_source *s, uint64_t out, float *to)
{
    for (uint64_t in = 0; in < s->dims[1]; in++) {
        uint64_t group = group_of(s, in);
        to[in] = (float)level(s, out, in, zero_point(s, group, out)) * scale_of(s, group, out);
    }
}

/* A row of q4_0 or q8_0 blocks: the group's scale, then the levels. */
static void read_codes_blocks(const struct qn_hf_source *s, uint64_t out, uint8_t *to)
{
    for (uint64_t in = 0; in < s->dims[1]; in += BLOCK) {
        uint64_t group = in / s->group;
        uint32_t zero = zero_point(s, group, out);
        qn_set_read(s->parts[SCALES], group * s->dims[0] + out, 1, to);
        to += 2;
        if (s->dtype == QN_DTYPE_Q8_0) {
            for (uint32_t i = 0; i < BLOCK; i++)
                *to++ = (uint8_t)(int8_t)level(s, out, in + i, zero);
            continue;
        }
        for (uint32_t i = 0; i < BLOCK / 2; i++)
            *to++ = (uint8_t)((uint32_t)(level(s, out, in + i, zero) + 8) |
                              (uint32_t)(level(s, out, in + i + BLOCK / 2, zero) + 8) << 4);
    }
}

static void read_fp8(const struct qn_hf_source *s, uint64_t first, uint64_t count, void *out)
{
    const struct qn_set_tensor *t = s->parts[CODES], *scales = s->parts[SCALES];
    uint64_t columns = s->rank >= 2 ? s->dims[s->rank - 1] : 1, rows = s->rank >= 2 ? s->dims[s->rank - 2] : 1;
    if (rows == 0 || columns == 0)
        return;
    /* without a block size one scale is for all */
    uint64_t height = s->block[0] ? s->block[0] : rows, width = s->block[1] ? s->block[1] : columns;
    uint64_t across = (columns + width - 1) / width, down = (rows + height - 1) / height;
    const qn_dequantise_fn decode = qn_quant(t->dtype)->dequantise;
    for (uint64_t row = first; row < first + count; row++)
        for (uint64_t c = 0; c < columns; c++) {
            uint64_t at = (row - first) * columns + c;
            float value, scale = 1;
            decode((const uint8_t *)t->data + row * columns + c, &value, 1);
            if (!scales) {
                ((uint16_t *)out)[at] = qn_f32_to_f16(value);
                continue;
            }
            uint64_t index = scales->elements == 1 ? 0 : (row / rows * down + row % rows / height) * across + c / width;
            uint8_t raw[8];
            qn_set_read(scales, index, 1, raw);
            qn_quant(scales->dtype)->dequantise(raw, &scale, 1);
            ((float *)out)[at] = value * scale;
        }
}

/* Codes of neighbours share a byte there; here element i shares it with element i + 16. */
static void read_mxfp4(const struct qn_hf_source *s, uint64_t first, uint64_t count, uint8_t *to)
{
    uint64_t blocks = s->dims[s->rank - 1] / BLOCK;
    const uint8_t *codes = s->parts[CODES]->data, *scales = s->parts[SCALES]->data;
    for (uint64_t b = first * blocks; b < (first + count) * blocks; b++, to += MXFP4_BYTES) {
        const uint8_t *from = codes + b * (BLOCK / 2);
        to[0] = scales[b];
        for (uint32_t i = 0; i < BLOCK / 2; i++) {
            uint32_t low = from[i / 2] >> i % 2 * 4 & 15, high = from[i / 2 + BLOCK / 4] >> i % 2 * 4 & 15;
            to[1 + i] = (uint8_t)(low | high << 4);
        }
    }
}

qn_status qn_hf_source_read(const struct qn_hf *hf, const struct qn_hf_source *s, uint64_t first, uint64_t count,
                            void *out)
{
    (void)hf;
    uint64_t columns = s->rank >= 2 ? s->dims[s->rank - 1] : 1, row_bytes;
    switch (s->kind) {
    case QN_HF_PLAIN:
        qn_set_read(s->parts[0], first * columns, count * columns, out);
        return NULL;
    case QN_HF_FP8:
        read_fp8(s, first, count, out);
        return NULL;
    case QN_HF_MXFP4:
        read_mxfp4(s, first, count, out);
        return NULL;
    case QN_HF_GPTQ:
    case QN_HF_AWQ:
        break;
    }
    if (!qn_dtype_row_bytes(s->dtype, columns, &row_bytes))
        return QN_ERROR(QN_INTERNAL, "tensor '%.*s': rows of %" PRIu64, QN_STR_ARG(s->name), columns);
    for (uint64_t i = 0; i < count; i++)
        if (s->dtype == QN_DTYPE_F32)
            read_codes_f32(s, first + i, (float *)out + i * columns);
        else
            read_codes_blocks(s, first + i, (uint8_t *)out + i * row_bytes);
    return NULL;
}
