/* quern chat: a conversation in the terminal, with history, until Ctrl-D. Ctrl-C stops an answer, not the program. */
#include <dlfcn.h>
#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/lm.h"
#include "cli/terminal.h"
#include "quern/chat.h"

struct chat {
    struct qn_lm_args args;
    const char *system, *template_path, *template_vars, *tools_path;
    char *template_text, *tools; /* the files' contents */
    struct qn_lm_run lm;
    struct qn_chat *format;
    struct qn_chat_markers markers;
    struct qn_text history; /* messages as JSON, each with a comma behind it */
    struct qn_text content, reasoning, calls;
    struct qn_chat_parser *parser;
    enum qn_chat_part shown; /* the part that stands last on the terminal */
    bool failed;             /* memory or the terminal */
    struct qn_generate_stats stats;
};

/* ---- texts ---------------------------------------------------------------------------------------------------- */

static bool append(struct qn_text *to, const char *text, size_t size)
{
    if (to->size + size + 1 > to->capacity) {
        size_t capacity = 2 * (to->size + size + 1);
        char *data = realloc(to->data, capacity);
        if (!data)
            return false;
        to->data = data;
        to->capacity = capacity;
    }
    memcpy(to->data + to->size, text, size);
    to->size += size;
    to->data[to->size] = 0;
    return true;
}

static bool add(struct qn_text *to, const char *text)
{
    return append(to, text, strlen(text));
}

static bool add_json(struct qn_text *to, const char *text, size_t size)
{
    bool good = add(to, "\"");
    for (size_t i = 0; i < size && good; i++) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];
        if (c == '"' || c == '\\' || c < ' ') {
            snprintf(escape, sizeof escape, c < ' ' ? "\\u%04x" : "\\%c", c);
            good = add(to, escape);
        } else {
            good = append(to, text + i, 1);
        }
    }
    return good && add(to, "\"");
}

static bool add_message(struct qn_text *to, const char *role, const char *content, size_t size)
{
    return add(to, "{\"role\": \"") && add(to, role) && add(to, "\", \"content\": ") && add_json(to, content, size);
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct qn_text text = {0};
    char buffer[4096];
    size_t size;
    bool good = file && append(&text, "", 0);
    while (good && (size = fread(buffer, 1, sizeof buffer, file)) > 0)
        good = append(&text, buffer, size);
    good = good && !ferror(file);
    if (file)
        fclose(file);
    if (!good) {
        free(text.data);
        return NULL;
    }
    return text.data;
}

/* ---- turns ---------------------------------------------------------------------------------------------------- */

static bool on_text(void *context, const char *text, size_t size)
{
    (void)context;
    return fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0;
}

/* Reasoning is shown dimmed, calls of tools on lines of their own. */
static void on_part(void *context, enum qn_chat_part part, const char *text, size_t size)
{
    struct chat *chat = context;
    struct qn_text *to = part == QN_CHAT_CONTENT     ? &chat->content
                         : part == QN_CHAT_REASONING ? &chat->reasoning
                                                     : &chat->calls;
    bool colour = isatty(STDOUT_FILENO);
    if (part == QN_CHAT_TOOL_CALL) {
        chat->failed |= !add(to, to->size ? ", " : "") || !add(to, "{\"type\": \"function\", \"function\": ");
        printf("%s[call] ", chat->content.size || chat->reasoning.size ? "\n" : "");
    }
    if (part != chat->shown && part == QN_CHAT_REASONING)
        printf("%s", colour ? "\033[2m" : "(thinking) ");
    if (part != chat->shown && chat->shown == QN_CHAT_REASONING)
        printf("%s\n\n", colour ? "\033[0m" : "");
    chat->shown = part;
    chat->failed |= !append(to, text, size) || !on_text(NULL, text, size);
    if (part == QN_CHAT_TOOL_CALL)
        chat->failed |= !add(to, "}");
}

static bool on_answer(void *context, const char *text, size_t size)
{
    struct chat *chat = context;
    qn_status status = qn_chat_parser_push(chat->parser, text, size, on_part, chat);
    chat->failed |= status != NULL;
    qn_status_free(status);
    return !chat->failed;
}

/* The request for the conversation so far. --template-vars come first, so that they cannot stand for the messages. */
static bool make_request(const struct chat *chat, struct qn_text *out)
{
    out->size = 0;
    const char *vars = chat->template_vars ? strchr(chat->template_vars, '{') : NULL;
    const char *end = vars ? strrchr(vars, '}') : NULL;
    bool good = add(out, "{");
    if (end) {
        vars++;
        while (vars < end && strchr(" \t\n\r", *vars))
            vars++;
        good = good && (vars == end || (append(out, vars, (size_t)(end - vars)) && add(out, ", ")));
    }
    if (chat->tools)
        good = good && add(out, "\"tools\": ") && add(out, chat->tools) && add(out, ", ");
    good = good && add(out, "\"messages\": [");
    if (chat->system)
        good = good && add_message(out, "system", chat->system, strlen(chat->system)) && add(out, "}, ");
    return good && append(out, chat->history.data, chat->history.size - 2) &&
           add(out, "], \"add_generation_prompt\": true}");
}

static qn_status no_memory(void)
{
    return QN_STATUS(QN_OUT_OF_MEMORY, "out of memory");
}

/* Forgets the oldest message; false when it is the only one. */
static bool forget_oldest(struct chat *chat)
{
    char *next = chat->history.data ? strstr(chat->history.data, "}, \n{\"role\": \"user\"") : NULL;
    if (!next)
        return false;
    next += 4;
    chat->history.size -= (size_t)(next - chat->history.data);
    memmove(chat->history.data, next, chat->history.size + 1);
    return true;
}

/* The conversation's tokens; where they do not fit and may be forgotten, without its oldest turns. */
static qn_status encode(struct chat *chat, struct qn_tokens *tokens)
{
    struct qn_llm_info info = {.struct_size = sizeof info};
    struct qn_text request = {0}, prompt = {0};
    qn_status status = NULL;
    qn_llm_get_info(chat->lm.llm, &info);
    do {
        tokens->count = 0;
        prompt.size = 0;
        status = make_request(chat, &request) ? NULL : no_memory();
        if (!status)
            status = qn_chat_encode(chat->format, request.data, request.size, tokens);
        if (!status)
            status = qn_chat_render(chat->format, request.data, request.size, &prompt);
    } while (!status && tokens->count >= info.context && chat->args.context_shift && forget_oldest(chat));
    if (!status)
        status = qn_chat_parser_create(chat->format, prompt.data ? prompt.data : "", prompt.size, &chat->parser);
    if (!status && chat->tools)
        status = qn_chat_parser_set_tools(chat->parser, chat->tools, strlen(chat->tools));
    qn_text_free(&prompt);
    free(request.data);
    return status;
}

/* Of these tokens the sequence keeps what it holds already; *done of them. */
static void keep_common(struct qn_llm *llm, const struct qn_tokens *tokens, size_t *done)
{
    const int32_t *held = qn_llm_tokens(llm);
    uint32_t count = qn_llm_position(llm);
    size_t same = 0;
    while (same < count && same + 1 < tokens->count && held[same] == tokens->ids[same])
        same++;
    qn_llm_truncate(llm, (uint32_t)same);
    *done = same;
}

static qn_status generate(struct chat *chat, const struct qn_tokens *tokens)
{
    const char *stops[QN_ARG_LIST_MAX + 1];
    size_t stop_count = chat->args.stops.count, done;
    memcpy(stops, chat->args.stops.items, stop_count * sizeof *stops);
    if (qn_chat_stop(chat->format))
        stops[stop_count++] = qn_chat_stop(chat->format);
    struct qn_generate_options options = {
        .struct_size = sizeof options,
        .max_tokens = (uint32_t)chat->args.max_tokens,
        .context_shift = chat->args.context_shift,
        .special = chat->markers.special,
        .stops = stops,
        .stop_count = stop_count,
        .on_text = on_answer,
        .context = chat,
    };
    keep_common(chat->lm.llm, tokens, &done);
    chat->stats = (struct qn_generate_stats){.struct_size = sizeof chat->stats};
    chat->shown = QN_CHAT_CONTENT;
    chat->failed = false;
    chat->content.size = chat->reasoning.size = chat->calls.size = 0;
    QN_COMMAND_TRY(qn_llm_generate(chat->lm.llm, chat->lm.tokenizer, chat->lm.sampler, tokens->ids + done,
                                   tokens->count - done, &options, &chat->stats));
    QN_COMMAND_TRY(qn_chat_parser_finish(chat->parser, on_part, chat));
    if (chat->shown == QN_CHAT_REASONING && isatty(STDOUT_FILENO))
        printf("\033[0m");
    return chat->failed ? no_memory() : NULL;
}

static bool add_answer(struct chat *chat)
{
    struct qn_text *to = &chat->history;
    bool good = add_message(to, "assistant", chat->content.data ? chat->content.data : "", chat->content.size);
    if (chat->reasoning.size)
        good = good && add(to, ", \"reasoning_content\": ") && add_json(to, chat->reasoning.data, chat->reasoning.size);
    if (chat->calls.size)
        good = good && add(to, ", \"tool_calls\": [") && append(to, chat->calls.data, chat->calls.size) && add(to, "]");
    return good && add(to, "}, ");
}

/* One question and its answer. A question that does not fit in the context is an error that leaves the talk as it
 * was. */
static void take_turn(struct chat *chat, const char *text)
{
    struct qn_tokens tokens = {0};
    size_t before = chat->history.size;
    bool good = (!before || add(&chat->history, "\n")) && add_message(&chat->history, "user", text, strlen(text)) &&
                add(&chat->history, "}, ");
    qn_status status = good ? encode(chat, &tokens) : no_memory();
    qn_lm_interrupt_begin(chat->lm.llm);
    if (!status)
        status = generate(chat, &tokens);
    qn_interrupt_end();
    putchar('\n');
    fflush(stdout);
    if (!status && !add_answer(chat))
        status = no_memory();
    if (status) {
        chat->history.size = before < chat->history.size ? before : chat->history.size;
        qn_command_status(status);
        qn_terminal_note("/clear starts a new conversation");
    } else {
        if (chat->stats.finish == QN_FINISH_CONTEXT)
            qn_terminal_note(
                "the context is full: /clear starts a new conversation, --context-shift forgets by itself");
        if (chat->args.stats)
            qn_lm_print_stats(&chat->lm, &chat->stats);
    }
    qn_chat_parser_free(chat->parser);
    chat->parser = NULL;
    qn_tokens_free(&tokens);
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

/* Line editing; NULL where the library is missing. No other command needs it, so that it is opened here, with the
 * three libraries that it needs in turn. */
static struct {
    __typeof__(readline) *read;
    __typeof__(add_history) *remember;
} edit;

static void open_editing(void)
{
    void *library = isatty(STDIN_FILENO) ? dlopen(QN_LIBRARY_EDIT, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        return;
    edit.read = (__typeof__(edit.read))dlsym(library, "readline");
    edit.remember = (__typeof__(edit.remember))dlsym(library, "add_history");
}

/* A line from the terminal (with editing) or from a pipe; NULL at the end. free() it. */
static char *read_line(const char *prompt)
{
    if (edit.read)
        return edit.read(prompt);
    if (isatty(STDIN_FILENO)) {
        fputs(prompt, stdout);
        fflush(stdout);
    }
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
        chat->history.size = 0;
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
    open_editing();
    while ((text = read_message())) {
        bool stay = true;
        if (text[0] && edit.remember)
            edit.remember(text);
        if (text[0] == '/')
            stay = take_command(chat, text);
        else if (text[0])
            take_turn(chat, text);
        free(text);
        if (!stay)
            break;
    }
}

/* The file of --tools is checked before a model is loaded. */
static qn_status read_tools(struct chat *chat)
{
    struct qn_chat *format;
    struct qn_chat_parser *parser;
    if (!chat->tools_path)
        return NULL;
    if (!(chat->tools = read_whole(chat->tools_path)))
        return QN_STATUS(QN_IO, "%s: cannot be read", chat->tools_path);
    QN_COMMAND_TRY(qn_chat_create(NULL, NULL, NULL, &format));
    qn_status status = qn_chat_parser_create(format, "", 0, &parser);
    if (!status) {
        status = qn_chat_parser_set_tools(parser, chat->tools, strlen(chat->tools));
        qn_chat_parser_free(parser);
    }
    qn_chat_free(format);
    if (status) {
        qn_status named = QN_STATUS(qn_status_code(status), "%s: %s", chat->tools_path, qn_status_message(status));
        qn_status_free(status);
        return named;
    }
    return NULL;
}

static qn_status make_format(struct chat *chat)
{
    struct qn_chat_options options = {.struct_size = sizeof options, .template_file = chat->template_path};
    if (chat->template_path) {
        if (!(chat->template_text = read_whole(chat->template_path)))
            return QN_STATUS(QN_IO, "%s: cannot be read", chat->template_path);
        options.template_text = chat->template_text;
        options.template_size = strlen(chat->template_text);
    }
    QN_COMMAND_TRY(qn_chat_create(chat->lm.model, chat->lm.tokenizer, &options, &chat->format));
    chat->markers.struct_size = sizeof chat->markers;
    qn_chat_get_markers(chat->format, &chat->markers);
    return NULL;
}

static void close_chat(struct chat *chat)
{
    qn_chat_free(chat->format);
    qn_lm_close(&chat->lm);
    free(chat->template_text);
    free(chat->tools);
    free(chat->history.data);
    free(chat->content.data);
    free(chat->reasoning.data);
    free(chat->calls.data);
}

int qn_cmd_chat(int argc, char **argv)
{
    struct chat chat = {.args = QN_LM_ARGS_DEFAULT};
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &chat.args.path, "the model file or folder"),
        QN_ARG_TEXT(0, "system", &chat.system, "TEXT", "what the model is told before the talk begins"),
        QN_ARG_TEXT(0, "template", &chat.template_path, "FILE", "a chat template instead of the model's own"),
        QN_ARG_TEXT(0, "template-vars", &chat.template_vars, "JSON",
                    "variables of the template: '{\"enable_thinking\": false}'"),
        QN_ARG_TEXT(0, "tools", &chat.tools_path, "FILE", "JSON list of the tools that the model may call"),
        QN_LM_ARG_ROWS(&chat.args),
        {0},
    };
    const struct qn_args args = {"chat", "talk with a language model", table,
                                 "  quern chat model.gguf\n"
                                 "  quern chat model.gguf --system \"You answer in one sentence.\" --temp 0.2\n"
                                 "  quern chat folder/ --tools tools.json --template-vars '{\"enable_thinking\": "
                                 "false}'\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code) || !qn_lm_args_finish(&args, &chat.args, &code))
        return code;
    if (chat.template_vars && *chat.template_vars != '{')
        return qn_args_fail(&args, "option '--template-vars': expected a JSON object, found '%s'", chat.template_vars);
    qn_status status = read_tools(&chat);
    if (!status)
        status = qn_lm_open(&chat.args, true, &chat.lm);
    if (!status)
        status = make_format(&chat);
    if (status) {
        code = qn_command_status(status);
    } else {
        qn_terminal_note("%s; /help for commands, Ctrl-D to leave", chat.template_path ? "template of the file"
                                                                    : qn_chat_has_template(chat.format)
                                                                        ? "the model's own template"
                                                                        : "a plain template, the model has none");
        talk(&chat);
    }
    close_chat(&chat);
    return code;
}
