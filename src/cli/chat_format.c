#define _GNU_SOURCE
#include "cli/chat_format.h"

#include <string.h>

static const struct qn_chat_format formats[] = {
    {"chatml", "<|im_start|>", "<|im_start|>system\n", "<|im_end|>\n", "<|im_start|>user\n",
     "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n", NULL},
    {"llama3", "<|start_header_id|>", "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>",
     "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
     "<|eot_id|>", NULL},
    {"zephyr", "<|user|>", "<|system|>\n", "</s>\n", "<|user|>\n", "</s>\n<|assistant|>\n", "</s>\n", NULL},
    {"llama2", "[INST]", "[INST] <<SYS>>\n", "\n<</SYS>>\n\n[/INST]</s>", "[INST] ", " [/INST]", "</s>", NULL},
    {"plain", NULL, "", "\n\n", "User: ", "\nAssistant:", "\n", "\nUser:"},
};

enum { COUNT = sizeof formats / sizeof formats[0] };

const struct qn_chat_format *qn_chat_format_find(const char *chat_template, size_t size)
{
    for (size_t i = 0; i + 1 < COUNT; i++)
        if (size && memmem(chat_template, size, formats[i].marker, strlen(formats[i].marker)))
            return &formats[i];
    return &formats[COUNT - 1];
}

const struct qn_chat_format *qn_chat_format_named(const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

const char *qn_chat_format_names(void)
{
    return "chatml, llama3, zephyr, llama2, plain";
}
