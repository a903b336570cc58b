/* quern convert: a model folder as GGUF, or GGUF as a model folder. */
#include "cli/args.h"
#include "cli/command.h"
#include "cli/convert_run.h"

int qn_cmd_convert(int argc, char **argv)
{
    struct qn_convert_run run = {.doing = "converting"};
    int64_t threads = 0;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("SRC", &run.input, "a model's folder (with config.json), or a GGUF file"),
        QN_ARG_TEXT('o', "output", &run.output, "OUT", "OUT.gguf, or a folder to write a GGUF file back to (required)"),
        QN_ARG_TEXT(0, "type", &run.options.type, "TYPE",
                    "f32, f16, bf16, q8_0 or any type of quern quantize (default auto: as the source has them)"),
        QN_ARG_INT('t', "threads", &threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_FLAG(0, "json", &run.json, "print a summary as JSON on stdout"),
        QN_ARG_FLAG('q', "quiet", &run.quiet, "no progress and no summary on stderr"),
        {0},
    };
    const struct qn_args args = {"convert", "write a model folder as GGUF, or GGUF as a model folder", table,
                                 "  quern convert Llama-3.2-1B -o llama.gguf\n"
                                 "  quern convert Llama-3.2-1B -o llama-q8_0.gguf --type q8_0\n"
                                 "  quern convert llama.gguf -o folder/ --json\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    if (!run.output)
        return qn_args_fail(&args, "missing option '--output' (the file or folder to write)");
    run.options.threads = (uint32_t)threads;
    return qn_convert_run(&run);
}
