/* quern quantize: a model with its weights in fewer bits. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/convert_run.h"

static void print_types(FILE *out)
{
    const char *name, *summary;
    for (size_t i = 0; (name = qn_convert_type(i, &summary)); i++)
        fprintf(out, "  %-10s %s\n", name, summary);
}

/* PATTERN=TYPE. The copies of the patterns stand in `patterns`. */
static bool parse_keeps(const struct qn_args *args, const struct qn_arg_list *list, struct qn_convert_keep *keeps,
                        char (*patterns)[192], int *code)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i], *equals = strrchr(text, '=');
        size_t size = equals ? (size_t)(equals - text) : strlen(text);
        if (size == 0 || size >= sizeof patterns[i]) {
            *code = qn_args_fail(args, "option '--keep' was given '%s'; expected PATTERN=TYPE", text);
            return false;
        }
        memcpy(patterns[i], text, size);
        patterns[i][size] = 0;
        keeps[i] = (struct qn_convert_keep){patterns[i], QN_DTYPE_NONE};
        if (equals && equals[1])
            keeps[i].dtype = qn_dtype_from_name(equals + 1, strlen(equals + 1));
        if (equals && equals[1] && keeps[i].dtype == QN_DTYPE_NONE) {
            *code = qn_args_fail(args, "option '--keep': unknown type '%s' in '%s'", equals + 1, text);
            return false;
        }
    }
    return true;
}

int qn_cmd_quantize(int argc, char **argv)
{
    struct qn_convert_run run = {.doing = "quantising"};
    struct qn_arg_list keep_list = {0};
    struct qn_convert_keep keeps[QN_ARG_LIST_MAX];
    char patterns[QN_ARG_LIST_MAX][192];
    int64_t threads = 0;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("IN", &run.input, "GGUF file (the first of a split model), a model's folder, or an ONNX model"),
        QN_ARG_POSITION("TYPE", &run.type, "what to make of it, in any letter case (list below)"),
        QN_ARG_TEXT('o', "output", &run.output, "OUT", "file to write (required): GGUF, or ONNX where IN is"),
        QN_ARG_INT('t', "threads", &threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_FLAG(0, "pure", &run.options.pure, "every weight in TYPE, none in a finer one"),
        QN_ARG_TEXT(0, "imatrix", &run.options.imatrix, "FILE",
                    "importance matrix that weighs the error (see quern imatrix)"),
        QN_ARG_LIST(0, "keep", &keep_list, "PATTERN=TYPE",
                    "type of the tensors whose names match (* and ?, or a part); no TYPE: as it is"),
        QN_ARG_FLAG(0, "error", &run.options.measure, "measure the error of the new weights, and show it"),
        QN_ARG_FLAG(0, "json", &run.json, "print a summary as JSON on stdout"),
        QN_ARG_FLAG('q', "quiet", &run.quiet, "no progress and no summary on stderr"),
        {0},
    };
    const struct qn_args args = {"quantize", "write a model with its weights in fewer bits", table,
                                 "  quern quantize model-f16.gguf -o model-q4_k_m.gguf Q4_K_M\n"
                                 "  quern quantize Llama-3.2-1B/ -o llama-q8_0.gguf q8_0 --threads 4 --json\n"
                                 "  quern quantize model-f16.gguf -o small.gguf Q2_K_S --imatrix model.imatrix.gguf\n"
                                 "  quern quantize model-f16.gguf -o mixed.gguf Q4_K_M --keep 'blk.0.*=q8_0'\n"
                                 "  quern quantize model-f16.gguf -o model-q4_0.gguf Q4_0 --error\n"
                                 "  quern quantize model.onnx -o model-q4_0.onnx Q4_0 --keep 'lm_head*'\n"
                                 "\nTypes (of ONNX: Q4_0, Q4_1, Q8_0):\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code)) {
        if (code == QN_EXIT_OK)
            print_types(stdout);
        return code;
    }
    if (!run.output)
        return qn_args_fail(&args, "missing option '--output' (the file to write)");
    if (!parse_keeps(&args, &keep_list, keeps, patterns, &code))
        return code;
    run.options.threads = (uint32_t)threads;
    run.options.keeps = keeps;
    run.options.keep_count = keep_list.count;
    return qn_convert_run(&run);
}
