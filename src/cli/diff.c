/* quern diff: two runs compared layer by layer. */
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json_out.h"
#include "cli/lm.h"
#include "cli/tensors.h"
#include "cli/terminal.h"
#include "quern/eval.h"

/* What is special about one of the two runs. */
struct side {
    const char *path;
    struct qn_arg_list settings; /* KEY=VALUE */
    const char *cpu, *passes, *backend;
    int kv, activations; /* numbers of the choices in cli/lm.h */
    int64_t threads;
    struct qn_trace *trace, *plain; /* plain: with all passes off */
};

struct options {
    struct side a, b;
    const char *prompt, *tokens;
    struct qn_tensor_args tensors;
    double tolerance;
    bool json, all, check;
    int32_t *ids;
    size_t id_count;
};

/* ---- settings ------------------------------------------------------------------------------------------------- */

static bool set(struct side *side, const char *key, size_t size, const char *value)
{
    static const char *const kinds[] = {"f16", "f32", "q8_0"};
    if (size == 3 && memcmp(key, "cpu", 3) == 0)
        side->cpu = value;
    else if (size == 6 && memcmp(key, "passes", 6) == 0)
        side->passes = value;
    else if (size == 7 && memcmp(key, "backend", 7) == 0)
        side->backend = value;
    else if (size == 7 && memcmp(key, "threads", 7) == 0)
        return (side->threads = strtoll(value, NULL, 10)) > 0;
    else if (size == 11 && memcmp(key, "activations", 11) == 0)
        return (side->activations = strcmp(value, "f32") == 0) || strcmp(value, "auto") == 0;
    else if (size == 2 && memcmp(key, "kv", 2) == 0) {
        for (side->kv = 0; side->kv < 3; side->kv++)
            if (strcmp(kinds[side->kv], value) == 0)
                return true;
        return false;
    } else {
        return false;
    }
    return true;
}

static bool read_side(const struct qn_args *args, const char *option, struct side *side, int *code)
{
    for (size_t i = 0; i < side->settings.count; i++) {
        const char *text = side->settings.items[i], *equals = strchr(text, '=');
        if (equals && set(side, text, (size_t)(equals - text), equals + 1))
            continue;
        *code = qn_args_fail(args,
                             "option '--%s' was given '%s'; expected cpu=ISA, passes=LIST (to switch off), "
                             "backend=LIST, threads=N, activations=auto|f32 or kv=f16|f32|q8_0",
                             option, text);
        return false;
    }
    return true;
}

/* The run's cap on instruction sets, "" for none: read when a model is made ready. */
static void cap_cpu(const struct side *side, const char *before)
{
    const char *cap = side->cpu ? side->cpu : before;
    if (cap)
        setenv("QUERN_CPU", cap, 1);
    else
        unsetenv("QUERN_CPU");
}

/* ---- language models ------------------------------------------------------------------------------------------ */

static qn_status read_ids(struct options *o, struct qn_lm_run *run)
{
    if (o->tokens) {
        size_t room = strlen(o->tokens) / 2 + 1;
        o->ids = calloc(room, sizeof *o->ids);
        for (const char *at = o->tokens; o->ids && *at && o->id_count < room;) {
            char *end;
            o->ids[o->id_count++] = (int32_t)strtol(at, &end, 10);
            if (end == at || (*end && *end != ','))
                return QN_STATUS(QN_INVALID_ARGUMENT, "option '--tokens': expected numbers with commas, found '%s'",
                                 at);
            at = *end ? end + 1 : end;
        }
        return o->ids ? NULL : QN_STATUS(QN_OUT_OF_MEMORY, "not enough memory");
    }
    struct qn_tokens tokens = {0};
    QN_COMMAND_TRY(qn_tokenizer_encode(run->tokenizer, o->prompt, strlen(o->prompt), NULL, &tokens));
    o->ids = calloc(tokens.count + 1, sizeof *o->ids);
    o->id_count = tokens.count;
    if (o->ids)
        memcpy(o->ids, tokens.ids, tokens.count * sizeof *o->ids);
    qn_tokens_free(&tokens);
    return o->ids ? NULL : QN_STATUS(QN_OUT_OF_MEMORY, "not enough memory");
}

static qn_status eval_lm(struct options *o, struct side *side, struct qn_lm_run *run)
{
    if (!o->ids)
        QN_COMMAND_TRY(read_ids(o, run));
    if (!o->id_count)
        return QN_STATUS(QN_INVALID_ARGUMENT, "there are no tokens to compare on");
    qn_llm_observe(run->llm, qn_trace_record, side->trace);
    qn_lm_interrupt_begin(run->llm);
    qn_status status = qn_llm_eval(run->llm, o->ids, o->id_count, NULL);
    qn_interrupt_end();
    return status;
}

static qn_status run_lm(struct options *o, struct side *side)
{
    struct qn_lm_args args = QN_LM_ARGS_DEFAULT;
    struct qn_lm_run run;
    args.path = side->path;
    args.threads = side->threads;
    args.kv = side->kv;
    args.activations = side->activations;
    args.disabled_passes = side->passes;
    qn_status status = qn_lm_open(&args, !o->tokens && !o->ids, &run);
    if (!status)
        status = eval_lm(o, side, &run);
    qn_lm_close(&run);
    return status;
}

/* ---- models on tensors ---------------------------------------------------------------------------------------- */

static qn_status run_tensors(struct options *o, struct side *side, const struct qn_tensor_run *parsed,
                             const char *passes_off, struct qn_trace *trace)
{
    struct qn_tensor_args args = o->tensors;
    struct qn_tensor_run run = *parsed; /* holds the sizes of dimensions */
    args.path = side->path;
    args.threads = side->threads;
    args.passes_off = passes_off;
    if (side->backend)
        args.backends = side->backend;
    qn_status status = qn_tensor_open(&args, &run);
    if (!status)
        status = qn_tensor_bind(&run);
    if (!status) {
        qn_run_observe(run.run, qn_trace_record, trace);
        status = qn_tensor_execute(&run);
    }
    qn_tensor_close(&run);
    return status;
}

/* ---- results -------------------------------------------------------------------------------------------------- */

static void row_json(struct qn_json_out *json, const char *key, const struct qn_trace_row *row)
{
    qn_json_out_object(json, key);
    qn_json_out_string(json, "name", row->name);
    qn_json_out_string(json, "op", row->op);
    if (row->layer >= 0)
        qn_json_out_u64(json, "layer", (uint64_t)row->layer);
    qn_json_out_u64(json, "elements", row->elements);
    qn_json_out_bool(json, "comparable", row->comparable);
    if (row->comparable) {
        qn_json_out_f64(json, "cosine", row->cosine);
        qn_json_out_f64(json, "max_error", row->max_error);
        qn_json_out_f64(json, "relative_error", row->relative);
    }
    qn_json_out_bool(json, "parts", row->parts);
    qn_json_out_end(json);
}

static bool parts(const struct qn_trace_result *result, const struct qn_trace_result *node)
{
    return result->first >= 0 || node->first >= 0;
}

static void print_json(const struct options *o, const struct qn_trace_result *result,
                       const struct qn_trace_result *node)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "a", o->a.path);
    qn_json_out_string(&json, "b", o->b.path);
    qn_json_out_f64(&json, "tolerance", o->tolerance);
    qn_json_out_bool(&json, "equal", !parts(result, node));
    if (result->first >= 0)
        row_json(&json, "first", &result->rows[result->first]);
    if (node->first >= 0)
        row_json(&json, "node", &node->rows[node->first]);
    if (result->worst >= 0)
        row_json(&json, "worst", &result->rows[result->worst]);
    qn_json_out_u64(&json, "compared", result->row_count);
    qn_json_out_u64(&json, "only_a", result->only_a);
    qn_json_out_u64(&json, "only_b", result->only_b);
    qn_json_out_array(&json, "values");
    for (uint32_t i = 0; i < result->row_count; i++)
        row_json(&json, NULL, &result->rows[i]);
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static void print_row(const struct qn_trace_row *row, const char *mark)
{
    size_t columns = qn_terminal_text(stdout, row->name, strlen(row->name), 60);
    printf("%*s", columns < 44 ? (int)(44 - columns) : 1, "");
    if (row->comparable)
        printf(" %11.8f  %10.3e  %10.3e%s\n", row->cosine, row->max_error, row->relative, mark);
    else
        printf(" shapes differ%s\n", mark);
}

/* Without --all: the rows around the first that parts, the last ones, and the worst. */
static bool is_shown(const struct options *o, const struct qn_trace_result *result, uint32_t i)
{
    enum { AROUND = 6, MOST = 40 };
    int32_t at = (int32_t)i, first = result->first;
    if (o->all || result->row_count <= MOST || at == result->worst || i + AROUND >= result->row_count)
        return true;
    return first < 0 ? i < AROUND : at >= first - AROUND && at <= first + AROUND;
}

static void print_parting(const char *words, const struct options *o, const struct qn_trace_row *row)
{
    fputs(words, stdout);
    qn_terminal_text(stdout, row->name, strlen(row->name), 0);
    if (row->layer >= 0)
        printf(" (layer %d)", row->layer);
    printf(": relative error %.3g, tolerance %g\n", row->relative, o->tolerance);
}

static void print_table(const struct options *o, const struct qn_trace_result *result,
                        const struct qn_trace_result *node)
{
    printf("%-44s %11s  %10s  %10s\n", "value", "cosine", "max error", "relative");
    bool gap = false;
    for (uint32_t i = 0; i < result->row_count; i++) {
        if (!is_shown(o, result, i)) {
            gap = true;
            continue;
        }
        if (gap)
            puts("...");
        gap = false;
        print_row(&result->rows[i], (int32_t)i == result->first ? "  <- first to part" : "");
    }
    if (result->only_a || result->only_b)
        printf("%u values are in A only, %u in B only\n", result->only_a, result->only_b);
    if (!parts(result, node))
        printf("no value differs by more than %g\n", o->tolerance);
    if (result->first >= 0)
        print_parting("they part at ", o, &result->rows[result->first]);
    if (node->first >= 0)
        print_parting(result->first >= 0 ? "in the file that is node " : "no value above, but they part at node ", o,
                      &node->rows[node->first]);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

/* plain: with all passes off, into the side's second trace; of models on tensors only. */
static qn_status run_side(struct options *o, struct side *side, const struct qn_tensor_run *parsed, bool language,
                          bool plain)
{
    struct qn_trace **trace = plain ? &side->plain : &side->trace;
    QN_COMMAND_TRY(qn_trace_create(trace));
    return language ? run_lm(o, side) : run_tensors(o, side, parsed, plain ? "all" : side->passes, *trace);
}

/* Both sides, each under its own instruction sets. */
static qn_status run_both(struct options *o, const struct qn_tensor_run *parsed, bool language, bool plain)
{
    struct side *sides[] = {&o->a, &o->b};
    const char *given = getenv("QUERN_CPU");
    char before[128] = "";
    if (given)
        snprintf(before, sizeof before, "%s", given);
    for (int i = 0; i < 2; i++) {
        cap_cpu(sides[i], given ? before : NULL);
        qn_status status = run_side(o, sides[i], parsed, language, plain);
        cap_cpu(&(struct side){0}, given ? before : NULL);
        QN_COMMAND_TRY(status);
    }
    return NULL;
}

/* Steps of models that carry their graph bear the name of the last node that was fused into them, and a small product
 * hides in the sum that it was fused into. A second look without passes finds the very node. */
static qn_status name_node(struct options *o, const struct qn_tensor_run *parsed, struct qn_trace_result *result)
{
    bool plain = o->a.passes && strcmp(o->a.passes, "all") == 0;
    if (strcmp(o->a.path, o->b.path) == 0 || o->a.passes != o->b.passes || plain)
        return NULL;
    QN_COMMAND_TRY(run_both(o, parsed, false, true));
    return qn_trace_compare(o->a.plain, o->b.plain, o->tolerance, result);
}

/* node: what name_node finds; its first is -1 where nobody looked. */
static qn_status work(struct options *o, const struct qn_tensor_run *parsed, struct qn_trace_result *result,
                      struct qn_trace_result *node)
{
    bool language, other;
    QN_COMMAND_TRY(qn_model_is_language(o->a.path, &language));
    QN_COMMAND_TRY(qn_model_is_language(o->b.path, &other));
    if (language != other)
        return QN_STATUS(QN_INVALID_ARGUMENT, "one is a language model, the other is not");
    if (language && !o->prompt && !o->tokens)
        return QN_STATUS(QN_INVALID_ARGUMENT, "language models are compared on a text (-p) or on tokens (--tokens)");
    if (language && strcmp(o->a.path, o->b.path) != 0 && !o->a.passes && !o->b.passes)
        o->a.passes = o->b.passes = "linear"; /* products by themselves, not hidden in the sums of layers */
    QN_COMMAND_TRY(run_both(o, parsed, language, false));
    QN_COMMAND_TRY(qn_trace_compare(o->a.trace, o->b.trace, o->tolerance, result));
    return language ? NULL : name_node(o, parsed, node);
}

int qn_cmd_diff(int argc, char **argv)
{
    struct options o = {.tolerance = 1e-3};
    int64_t threads = 0;
    const char *passes = NULL;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("A", &o.a.path, "a model"),
        QN_ARG_OPTIONAL("B", &o.b.path, "another one (default: A again, for --a and --b)"),
        QN_ARG_TEXT('p', "prompt", &o.prompt, "TEXT", "text to compare language models on"),
        QN_ARG_TEXT(0, "tokens", &o.tokens, "IDS", "token ids in place of a text, with commas"),
        QN_TENSOR_ARG_ROWS(&o.tensors),
        QN_ARG_INT('s', "seed", &o.tensors.seed, 0, 9007199254740992.0, "N", "seed of --random (default 0)"),
        QN_ARG_LIST(0, "a", &o.a.settings, "KEY=VALUE",
                    "a setting of the first run: cpu=ISA, passes=LIST (off), backend=LIST, threads=N, "
                    "activations=f32, kv=f32; may be repeated"),
        QN_ARG_LIST(0, "b", &o.b.settings, "KEY=VALUE", "the same of the second run"),
        QN_ARG_REAL(0, "tolerance", &o.tolerance, 0, 1e9, "X",
                    "relative error above which values part (default 0.001)"),
        QN_ARG_TEXT(0, "passes-off", &passes, "LIST", "graph passes not to run in both, or all: shows every node"),
        QN_ARG_INT('t', "threads", &threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_FLAG(0, "all", &o.all, "show every value"),
        QN_ARG_FLAG(0, "check", &o.check, "exit code 1 when the runs part"),
        QN_ARG_FLAG(0, "json", &o.json, "every value as JSON"),
        QN_ARG_FLAG('q', "quiet", &o.tensors.quiet, "nothing but errors on stderr"),
        {0},
    };
    const struct qn_args args = {"diff", "compare two models, or two ways to run one, layer by layer", table,
                                 "  quern diff model-f16.gguf model-q4_k_m.gguf -p \"Once upon a time\"\n"
                                 "  quern diff model.gguf -p Hello --a cpu=avx2 --b activations=f32\n"
                                 "  quern diff a.onnx b.onnx --random --tolerance 1e-5 --json\n"};
    int code = QN_EXIT_OK;
    struct qn_tensor_run parsed = {0};
    if (!qn_args_parse(&args, argc, argv, &code) || !qn_tensor_args_finish(&args, &o.tensors, &parsed, &code))
        return code;
    o.b.path = o.b.path ? o.b.path : o.a.path;
    o.a.threads = o.b.threads = threads;
    o.a.passes = o.b.passes = passes;
    if (!read_side(&args, "a", &o.a, &code) || !read_side(&args, "b", &o.b, &code))
        return code;
    struct qn_trace_result result = {.struct_size = sizeof result}, node = {.struct_size = sizeof node, .first = -1};
    qn_status status = work(&o, &parsed, &result, &node);
    if (status)
        code = qn_command_status(status);
    else if (o.json)
        print_json(&o, &result, &node);
    else
        print_table(&o, &result, &node);
    if (!status && o.check && parts(&result, &node))
        code = QN_EXIT_FAILED;
    qn_trace_destroy(o.a.trace);
    qn_trace_destroy(o.b.trace);
    qn_trace_destroy(o.a.plain);
    qn_trace_destroy(o.b.plain);
    free(o.ids);
    return code;
}
