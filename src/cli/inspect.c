/* quern inspect: what is in a model file, and the graph that it becomes. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/inspect_file.h"
#include "cli/inspect_graph.h"
#include "quern/model.h"

int qn_cmd_inspect(int argc, char **argv)
{
    const char *path = NULL;
    const char *passes_off = NULL;
    const char *backends = NULL;
    struct qn_arg_list extensions = {0};
    bool graph = false, optimised = false, passes = false, partition = false;
    struct qn_inspect_options options = {.json = false};
    const struct qn_arg table[] = {
        QN_ARG_POSITION("FILE", &path, "model file; the first file of a split model"),
        QN_ARG_FLAG('m', "metadata", &options.sections[QN_INSPECT_METADATA], "show the metadata alone"),
        QN_ARG_FLAG('i', "interface", &options.sections[QN_INSPECT_PORTS],
                    "show the graph's inputs, outputs and operators alone"),
        QN_ARG_FLAG('t', "tensors", &options.sections[QN_INSPECT_TENSORS], "show the tensors alone"),
        QN_ARG_FLAG('g', "graph", &graph, "print the model's graph as the importer builds it, in core ops"),
        QN_ARG_FLAG('o', "optimised", &optimised, "with --graph: after the passes"),
        QN_ARG_FLAG(0, "passes", &passes, "show the nodes before and after each pass"),
        QN_ARG_FLAG(0, "partition", &partition, "show which backend runs which node, and why not"),
        QN_ARG_TEXT(0, "backend", &backends, "LIST", "backends in the order of preference (default cpu)"),
        QN_ARG_LIST(0, "extension", &extensions, "FILE", "shared library with ops or backends; may be repeated"),
        QN_ARG_TEXT(0, "passes-off", &passes_off, "LIST", "passes not to run, separated by commas, or all"),
        QN_ARG_FLAG('a', "all", &options.full, "show long arrays and texts in full"),
        QN_ARG_FLAG('j', "json", &options.json, "write JSON; nothing is shortened"),
        {0},
    };
    const struct qn_args args = {"inspect", "show what is in a model file", table,
                                 "  quern inspect model.gguf\n"
                                 "  quern inspect model.gguf --tensors\n"
                                 "  quern inspect model.gguf --json\n"
                                 "  quern inspect model.onnx --interface\n"
                                 "  quern inspect model.gguf --graph --optimised\n"
                                 "  quern inspect model.gguf --passes\n"
                                 "  quern inspect model.onnx --partition --extension ./mine.so --backend mine,cpu\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    struct qn_model *model;
    qn_status status = qn_model_open(path, NULL, &model);
    if (status)
        return qn_command_status(status);
    if (passes)
        status = qn_inspect_passes(model, passes_off, options.json, stdout);
    else if (partition)
        status = qn_inspect_partition(model, backends, &extensions, passes_off, options.json, stdout);
    else if (graph || optimised)
        status = qn_inspect_graph(model, optimised, passes_off, stdout);
    else
        status = qn_inspect_file(model, &options, stdout);
    qn_model_close(model);
    return qn_command_status(status);
}
