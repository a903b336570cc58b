/* Tokenizers of folders without tokenizer.json that hold vocab.json and merges.txt: byte-level BPE, in the ways in
 * which transformers' classes cut a text and surround it. */
#include <ctype.h>

#include "text/tokenizer/folder_tokens.h"
#include "text/tokenizer/pipeline_build.h"
#include "text/tokenizer/tokenizer_json.h"
#include "text/tokenizer/vocab_files.h"

/* ---- the classes ---------------------------------------------------------------------------------------------- */

enum frame {
    FRAME_ENDS,    /* BOS and EOS where the configuration asks for them */
    FRAME_CLS_SEP, /* one CLS, SEP behind each text and once more between two */
    FRAME_BOS_EOS, /* the same with BOS and EOS */
};

/* Steps are written as tokenizer.json writes them. */
struct class_row {
    const char *names, *types; /* classes without "Tokenizer"; beginnings of config.json's model_type */
    const char *usual[QN_NAMED_COUNT];
    const char *normalizer, *cutter, *decoder;
    enum frame frame;
    bool trim_offsets;
    bool
        ends_words; /* the last character of a word has "</w>" behind it; unknown characters become the unknown token */
};

#define PREFIX "@" /* stands for whether a space is put before a text */
#define BYTES_AFTER(prefix, regex) \
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": " prefix ", \"trim_offsets\": true, \"use_regex\": " regex "}"
#define BYTES(regex) BYTES_AFTER(PREFIX, regex)
#define DECODE_BYTES BYTES_AFTER("false", "true")
#define SPLIT_BYTES(pattern, behavior, invert)                                                               \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" pattern \
    "\"}, \"behavior\": \"" behavior "\", \"invert\": " invert "}, " BYTES("false") "]}"
#define NFC "{\"type\": \"NFC\"}"
#define QWEN_PATTERN                                                                                            \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+" \
    "[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define CLIP_PATTERN                                                                                               \
    "<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}" \
    "\\\\p{N}]+"

static const struct class_row classes[] = {
    {.names = "GPT2 CodeGen",
     .types = "gpt2 gptj gpt_neo opt phi codegen starcoder2",
     .usual = {"<|endoftext|>", "<|endoftext|>", "<|endoftext|>"},
     .cutter = BYTES("true"),
     .decoder = DECODE_BYTES},
    {.names = "Roberta Bart Longformer LED",
     .types = "roberta bart longformer led ibert data2vec-text",
     .usual = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
     .cutter = BYTES("true"),
     .decoder = DECODE_BYTES,
     .frame = FRAME_CLS_SEP,
     .trim_offsets = true},
    {.names = "Qwen2",
     .types = "qwen2 qwen3",
     .usual = {NULL, "<|endoftext|>", "<|endoftext|>", NULL, "<|endoftext|>"},
     .normalizer = NFC,
     .cutter = SPLIT_BYTES(QWEN_PATTERN, "Isolated", "false"),
     .decoder = DECODE_BYTES},
    {.names = "GPTNeoX",
     .types = "gpt_neox mamba olmo mpt rwkv xlstm falcon_mamba",
     .usual = {"<|endoftext|>", "<|endoftext|>", "<|endoftext|>", NULL, "<|padding|>"},
     .normalizer = NFC,
     .cutter = BYTES("true"),
     .decoder = DECODE_BYTES},
    {.names = "Deberta",
     .types = "deberta",
     .usual = {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
     .cutter = BYTES("true"),
     .decoder = DECODE_BYTES,
     .frame = FRAME_CLS_SEP},
    {.names = "CLIP",
     .types = "clip owlv groupvit xclip",
     .usual = {"<|startoftext|>", "<|endoftext|>", "<|endoftext|>", NULL, "<|endoftext|>"},
     .normalizer = "{\"type\": \"Sequence\", \"normalizers\": [" NFC ", {\"type\": \"Replace\", \"pattern\": "
                   "{\"Regex\": \"\\\\s+\"}, \"content\": \" \"}, {\"type\": \"Lowercase\"}]}",
     .cutter = SPLIT_BYTES(CLIP_PATTERN, "Removed", "true"),
     .decoder = "{\"type\": \"Sequence\", \"decoders\": [" DECODE_BYTES ", {\"type\": \"Replace\", \"pattern\": "
                "{\"String\": \"</w>\"}, \"content\": \" \"}, {\"type\": \"Strip\", \"content\": \" \", "
                "\"start\": 1000000, \"stop\": 1000000}]}",
     .frame = FRAME_BOS_EOS,
     .ends_words = true},
};
enum { CLASSES = sizeof classes / sizeof classes[0] };

static struct qn_str without_end(struct qn_str text, const char *end)
{
    text.size -= qn_str_ends(text, qn_str_from(end)) ? strlen(end) : 0;
    return text;
}

/* Whether one of the words, which stand between spaces, is the text, or its beginning. */
static bool lists(const char *words, struct qn_str text, bool beginning)
{
    for (size_t size; *words; words += size + (words[size] == ' ')) {
        size = strcspn(words, " ");
        if (text.size && (beginning ? text.size >= size : text.size == size) && memcmp(text.data, words, size) == 0)
            return true;
    }
    return false;
}

static qn_status find_class(const struct qn_tokenizer_extras *extras, const struct class_row **out)
{
    struct qn_str name = without_end(without_end(extras->class_name, "Fast"), "Tokenizer");
    *out = NULL;
    for (int i = 0; i < CLASSES && !*out; i++)
        if (lists(classes[i].names, name, false))
            *out = &classes[i];
    if (*out)
        return NULL;
    if (name.size)
        return QN_ERROR(QN_UNSUPPORTED,
                        "'tokenizer_class' is '%.*s', whose vocab.json can be read by way of a tokenizer.json only",
                        QN_STR_ARG(extras->class_name));
    for (int i = 0; i < CLASSES && !*out; i++)
        if (lists(classes[i].types, extras->model_type, true))
            *out = &classes[i];
    *out = *out ? *out : &classes[0];
    return NULL;
}

/* ---- building ------------------------------------------------------------------------------------------------- */

static bool next_line(struct qn_str *rest, struct qn_str *line)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end ? (size_t)(end - rest->data) : rest->size;
    *line = without_end((struct qn_str){rest->data, size}, "\r");
    size += end != NULL;
    *rest = (struct qn_str){rest->data + size, rest->size - size};
    return true;
}

static qn_status read_merges(struct qn_tokenizer *t, struct qn_str text)
{
    struct qn_str rest = text, line, left, right;
    uint32_t count = 0;
    if (text.size >= INT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "merges.txt has %zu bytes", text.size);
    while (next_line(&rest, &line))
        count++;
    QN_TRY(qn_pipeline_begin_merges(t, count));
    t->pipeline->model.last_merged = -1;
    rest = text;
    for (uint32_t i = 0; next_line(&rest, &line); i++) {
        if (!line.size || qn_str_starts(line, QN_STR("#version")))
            continue;
        qn_status status = qn_cut_merge(line, i, &left, &right);
        if (!status)
            status = qn_pipeline_put_merge(t, i, left, right);
        if (status)
            return qn_status_note(status, "merges.txt, line %u", i + 1);
    }
    return NULL;
}

/* A text of the table, with what is said of a space before a text; it has one place for it, or none. */
static qn_status with_prefix(struct qn_arena *arena, const char *text, bool prefix, struct qn_str *out)
{
    const char *place = strstr(text, PREFIX);
    *out = place ? qn_arena_printf(arena, "%.*s%s%s", (int)(place - text), text, prefix ? "true" : "false",
                                   place + strlen(PREFIX))
                 : qn_str_from(text);
    return out->data ? NULL : QN_OOM();
}

static qn_status set_steps(struct qn_tokenizer *t, const struct class_row *row, bool prefix_space)
{
    struct qn_step_texts steps = {.decoder = qn_str_from(row->decoder)};
    if (row->normalizer)
        steps.normalizer = qn_str_from(row->normalizer);
    QN_TRY(with_prefix(&t->arena, row->cutter, prefix_space && row->frame != FRAME_BOS_EOS, &steps.cutter));
    return qn_pipeline_set_steps(t, &steps);
}

static qn_status set_model(struct qn_tokenizer *t, const struct class_row *row,
                           const struct qn_tokenizer_extras *extras)
{
    struct qn_unit_model *m = &t->pipeline->model;
    m->kind = QN_UNIT_BPE;
    m->unknown = -1;
    if (!row->ends_words)
        return NULL;
    struct qn_str unknown = extras->named[QN_NAMED_UNK].content;
    m->has_suffix = m->names_unknown = true;
    m->suffix = QN_STR("</w>");
    m->unknown_text = unknown.size ? qn_arena_str(&t->arena, unknown) : qn_str_from(row->usual[QN_NAMED_UNK]);
    return m->unknown_text.data ? NULL : QN_OOM();
}

static qn_status build(struct qn_tokenizer *t, const struct qn_json *vocab, const struct qn_tokenizer_extras *extras,
                       struct qn_arena *scratch)
{
    struct qn_unit_model *m = &t->pipeline->model;
    const struct class_row *row;
    (void)scratch;
    bool prefix_space = extras->prefix_space == 1;
    if (!extras->merges.data)
        return QN_ERROR(QN_NOT_FOUND, "merges.txt is missing beside it");
    QN_TRY(find_class(extras, &row));
    QN_TRY(set_model(t, row, extras));
    QN_TRY(qn_read_vocab(t, vocab));
    QN_TRY(read_merges(t, extras->merges));
    if (m->names_unknown)
        m->unknown = qn_text_ids_find(&t->by_text, m->unknown_text.data, m->unknown_text.size);
    QN_TRY(set_steps(t, row, prefix_space));
    QN_TRY(qn_pipeline_add_tokens(t, extras, row->usual));
    QN_TRY(qn_pipeline_finish(t));
    int32_t roles[QN_TOKEN_ROLE_COUNT];
    qn_folder_roles(t, extras, row->usual, roles);
    if (row->frame == FRAME_ENDS) {
        QN_TRY(qn_pipeline_set_frame(t, extras->add_bos == 1, extras->add_eos == 1, roles));
    } else {
        bool ends = row->frame == FRAME_BOS_EOS;
        struct qn_surround surround = {
            .kind = QN_SURROUND_ROBERTA,
            .trim_offsets = row->trim_offsets,
            .prefix_space = prefix_space,
            .first = qn_folder_token(t, extras, row->usual, ends ? QN_NAMED_BOS : QN_NAMED_CLS),
            .separator = qn_folder_token(t, extras, row->usual, ends ? QN_NAMED_EOS : QN_NAMED_SEP),
        };
        QN_TRY(qn_pipeline_surround(t, surround));
    }
    qn_pipeline_set_roles(t, roles);
    return NULL;
}

qn_status qn_tokenizer_from_vocab_json(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                       const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    static const struct qn_tokenizer_extras none = {0};
    return qn_pipeline_from_json(text, name, extras ? extras : &none, build, allocator, out);
}
