/* quern chat: a conversation in the terminal, with history, until Ctrl-D. Ctrl-C stops an answer, not the program. */
#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/chat_format.h"
#include "cli/command.h"
#include "cli/lm.h"
#include "cli/terminal.h"

struct chat {
    struct qn_lm_args args;
    const char *system, *format_name;
    struct qn_lm_run lm;
    const struct qn_chat_format *format;
    bool fresh; /* nothing of this conversation is evaluated yet */
    struct qn_generate_stats stats;
};

/* ---- turns ---------------------------------------------------------------------------------------------------- */

/* Markup is read with its control tokens; what a person typed never is, so that nobody can type a role. */
static qn_status add_piece(const struct chat *chat, const char *text, bool markup, bool first, struct qn_tokens *tokens)
{
    struct qn_encode_options options = {
        .struct_size = sizeof options, .parse_special = markup, .bare = !first, .continued = !first};
    if (!first && !*text)
        return NULL;
    return qn_tokenizer_encode(chat->lm.tokenizer, text, strlen(text), &options, tokens);
}

/* BOS, when the model wants one, comes with the first piece; an EOS that encoding put after it is taken back. */
static qn_status add_start(const struct chat *chat, struct qn_tokens *tokens)
{
    QN_COMMAND_TRY(add_piece(chat, "", true, true, tokens));
    while (tokens->count && tokens->ids[tokens->count - 1] != qn_tokenizer_role(chat->lm.tokenizer, QN_TOKEN_BOS))
        tokens->count--;
    if (!chat->system)
        return NULL;
    QN_COMMAND_TRY(add_piece(chat, chat->format->system_before, true, false, tokens));
    QN_COMMAND_TRY(add_piece(chat, chat->system, false, false, tokens));
    return add_piece(chat, chat->format->system_after, true, false, tokens);
}

static qn_status encode_turn(const struct chat *chat, const char *text, struct qn_tokens *tokens)
{
    if (chat->fresh)
        QN_COMMAND_TRY(add_start(chat, tokens));
    else
        QN_COMMAND_TRY(add_piece(chat, chat->format->answer_after, true, false, tokens));
    QN_COMMAND_TRY(add_piece(chat, chat->format->user_before, true, false, tokens));
    QN_COMMAND_TRY(add_piece(chat, text, false, false, tokens));
    return add_piece(chat, chat->format->user_after, true, false, tokens);
}

static bool on_text(void *context, const char *text, size_t size)
{
    (void)context;
    return fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0;
}

static qn_status generate(struct chat *chat, const struct qn_tokens *tokens)
{
    const char *stops[QN_ARG_LIST_MAX + 1];
    size_t stop_count = chat->args.stops.count;
    memcpy(stops, chat->args.stops.items, stop_count * sizeof *stops);
    if (chat->format->stop)
        stops[stop_count++] = chat->format->stop;
    struct qn_generate_options options = {
        .struct_size = sizeof options,
        .max_tokens = (uint32_t)chat->args.max_tokens,
        .context_shift = chat->args.context_shift,
        .stops = stops,
        .stop_count = stop_count,
        .on_text = on_text,
    };
    chat->stats = (struct qn_generate_stats){.struct_size = sizeof chat->stats};
    return qn_llm_generate(chat->lm.llm, chat->lm.tokenizer, chat->lm.sampler, tokens->ids, tokens->count, &options,
                           &chat->stats);
}

/* One question and its answer. A question that does not fit in the context is an error that leaves the talk as it
 * was. */
static void take_turn(struct chat *chat, const char *text)
{
    struct qn_tokens tokens = {0};
    uint32_t before = qn_llm_position(chat->lm.llm);
    qn_status status = encode_turn(chat, text, &tokens);
    qn_lm_on_interrupt(chat->lm.llm);
    if (!status)
        status = generate(chat, &tokens);
    qn_lm_on_interrupt(NULL);
    qn_lm_interrupted();
    putchar('\n');
    fflush(stdout);
    if (status) {
        qn_llm_truncate(chat->lm.llm, before);
        qn_command_status(status);
        qn_terminal_note("/clear starts a new conversation");
    } else {
        chat->fresh = false;
        if (chat->stats.finish == QN_FINISH_CONTEXT)
            qn_terminal_note(
                "the context is full: /clear starts a new conversation, --context-shift forgets by itself");
        if (chat->args.stats)
            qn_lm_print_stats(&chat->lm, &chat->stats);
    }
    qn_tokens_free(&tokens);
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

/* A line from the terminal (with editing) or from a pipe; NULL at the end. free() it. */
static char *read_line(const char *prompt)
{
    if (isatty(STDIN_FILENO))
        return readline(prompt);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = getline(&line, &capacity, stdin);
    if (size < 0) {
        free(line);
        return NULL;
    }
    if (size && line[size - 1] == '\n')
        line[size - 1] = 0;
    return line;
}

static char *join(char *text, const char *line)
{
    size_t size = strlen(text), extra = strlen(line);
    char *longer = realloc(text, size + extra + 2);
    if (!longer)
        return text;
    longer[size] = '\n';
    memcpy(longer + size + 1, line, extra + 1);
    return longer;
}

/* Everything between two lines of """, or lines that end with a backslash and the one after them. */
static char *read_message(void)
{
    char *text = read_line("> ");
    if (!text)
        return NULL;
    bool block = strcmp(text, "\"\"\"") == 0;
    if (block)
        text[0] = 0;
    size_t size = strlen(text);
    bool more = block || (size && text[size - 1] == '\\');
    if (more && !block)
        text[size - 1] = 0;
    while (more) {
        char *line = read_line("... ");
        if (!line)
            break;
        size = strlen(line);
        more = block ? strcmp(line, "\"\"\"") != 0 : size && line[size - 1] == '\\';
        if (!block && more)
            line[size - 1] = 0;
        if (more || !block)
            text = join(text, line);
        free(line);
    }
    if (block && text[0] == '\n')
        memmove(text, text + 1, strlen(text));
    return text;
}

/* False: leave. */
static bool take_command(struct chat *chat, const char *text)
{
    if (strcmp(text, "/exit") == 0 || strcmp(text, "/quit") == 0)
        return false;
    if (strcmp(text, "/clear") == 0) {
        qn_llm_truncate(chat->lm.llm, 0);
        chat->fresh = true;
        qn_terminal_note("a new conversation");
    } else if (strcmp(text, "/stats") == 0) {
        qn_lm_print_stats(&chat->lm, &chat->stats);
    } else {
        qn_terminal_note("/clear forgets the conversation, /stats shows speed and sizes, /exit or Ctrl-D leaves.\n"
                         "Ctrl-C stops an answer. A backslash at the end of a line goes on in the next; \"\"\" begins "
                         "and ends a block.");
    }
    return true;
}

static void talk(struct chat *chat)
{
    char *text;
    while ((text = read_message())) {
        bool stay = true;
        if (text[0] && isatty(STDIN_FILENO))
            add_history(text);
        if (text[0] == '/')
            stay = take_command(chat, text);
        else if (text[0])
            take_turn(chat, text);
        free(text);
        if (!stay)
            break;
    }
}

static qn_status choose_format(struct chat *chat)
{
    struct qn_model_text template = {0};
    bool found;
    QN_COMMAND_TRY(qn_model_get_text(chat->lm.model, "tokenizer.chat_template", &template, &found));
    chat->format =
        chat->format_name ? qn_chat_format_named(chat->format_name) : qn_chat_format_find(template.data, template.size);
    return NULL;
}

int qn_cmd_chat(int argc, char **argv)
{
    struct chat chat = {.args = QN_LM_ARGS_DEFAULT, .fresh = true};
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &chat.args.path, "the model file"),
        QN_ARG_TEXT(0, "system", &chat.system, "TEXT", "what the model is told before the talk begins"),
        QN_ARG_TEXT(0, "format", &chat.format_name, "NAME",
                    "chatml, llama3, zephyr, llama2 or plain (default: by the model's metadata)"),
        QN_LM_ARG_ROWS(&chat.args),
        {0},
    };
    const struct qn_args args = {"chat", "talk with a language model", table,
                                 "  quern chat model.gguf\n"
                                 "  quern chat model.gguf --system \"You answer in one sentence.\" --temp 0.2\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code) || !qn_lm_args_finish(&args, &chat.args, &code))
        return code;
    if (chat.format_name && !qn_chat_format_named(chat.format_name))
        return qn_args_fail(&args, "option '--format': expected one of %s, found '%s'", qn_chat_format_names(),
                            chat.format_name);
    qn_status status = qn_lm_open(&chat.args, true, &chat.lm);
    if (!status)
        status = choose_format(&chat);
    if (status) {
        code = qn_command_status(status);
    } else {
        qn_terminal_note("%s format; /help for commands, Ctrl-D to leave", chat.format->name);
        talk(&chat);
    }
    qn_lm_close(&chat.lm);
    return code;
}
