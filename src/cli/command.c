#include "cli/command.h"

#include "cli/terminal.h"

int qn_command_status(qn_status status)
{
    static const int exits[] = {
        [QN_OK] = QN_EXIT_OK,
        [QN_INVALID_ARGUMENT] = QN_EXIT_USAGE,
        [QN_INVALID_FILE] = QN_EXIT_BAD_FILE,
        [QN_UNSUPPORTED] = QN_EXIT_UNSUPPORTED,
        [QN_NOT_FOUND] = QN_EXIT_NOT_FOUND,
        [QN_IO] = QN_EXIT_FAILED,
        [QN_OUT_OF_MEMORY] = QN_EXIT_FAILED,
        [QN_OUT_OF_RANGE] = QN_EXIT_LIMIT,
        [QN_CANCELLED] = QN_EXIT_INTERRUPTED,
        [QN_INTERNAL] = QN_EXIT_FAILED,
    };
    enum qn_code code = qn_status_code(status);
    if (code == QN_OK)
        return QN_EXIT_OK;
    qn_terminal_error("%s", qn_status_message(status));
    if (code == QN_INTERNAL)
        qn_terminal_note("This is a bug in Quern (%s); please report it.", qn_status_origin(status));
    qn_status_free(status);
    return (unsigned)code < sizeof exits / sizeof exits[0] ? exits[code] : QN_EXIT_FAILED;
}
