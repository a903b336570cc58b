/* strftime_now: a civil time in English, as the C locale writes it. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text/template/template_machine.h"

static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

static struct qn_template_time system_time(void)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    return (struct qn_template_time){
        tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int32_t)(now.tv_nsec / 1000)};
}

static bool is_leap(int y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Days since the beginning of the year, and the day of the week from Sunday. */
static void find_day(const struct qn_template_time *now, int *year_day, int *week_day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int y = now->year - 1;
    *year_day = before[now->month - 1] + now->day - 1 + (now->month > 2 && is_leap(now->year));
    *week_day = (y * 365 + y / 4 - y / 100 + y / 400 + *year_day + 1) % 7;
}

/* Year and week of ISO 8601. */
static void find_week(const struct qn_template_time *now, int year_day, int week_day, int *year, int *week)
{
    int monday = (week_day + 6) % 7;
    *year = now->year;
    *week = (year_day - monday + 10) / 7;
    if (*week < 1) {
        --*year;
        int last = year_day + 365 + is_leap(*year);
        *week = (last - monday + 10) / 7;
    } else if (*week == 53 && (year_day - monday + 3) >= 365 + is_leap(*year)) {
        ++*year;
        *week = 1;
    }
}

static void number(struct qn_strbuf *out, char flag, char pad, int width, long long value)
{
    if (flag == '-')
        width = 1;
    if (flag == '_')
        pad = ' ';
    if (flag == '0')
        pad = '0';
    qn_strbuf_printf(out, pad == '0' ? "%0*lld" : "%*lld", width, value);
}

static void word(struct qn_strbuf *out, char flag, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool change = (flag == '^' && c >= 'a' && c <= 'z') || (flag == '#' && c >= 'a' && c <= 'z');
        c = change ? (char)(c - 32) : c;
        qn_strbuf_append(out, &c, 1);
    }
}

static bool put(struct qn_tpl *t, const struct qn_template_time *now, char flag, char c, struct qn_strbuf *out);

static bool put_all(struct qn_tpl *t, const struct qn_template_time *now, const char *conversions,
                    struct qn_strbuf *out)
{
    bool good = true;
    for (; *conversions && good; conversions++) {
        if (strchr("/: ,", *conversions))
            qn_strbuf_append(out, conversions, 1);
        else
            good = put(t, now, 0, *conversions, out);
    }
    return good;
}

static bool put_number(const struct qn_template_time *now, char flag, char c, struct qn_strbuf *out)
{
    int year_day, week_day, iso_year, iso_week;
    find_day(now, &year_day, &week_day);
    find_week(now, year_day, week_day, &iso_year, &iso_week);
    const struct {
        char c, pad;
        int width;
        long long value;
    } table[] = {
        {'d', '0', 2, now->day},
        {'e', ' ', 2, now->day},
        {'m', '0', 2, now->month},
        {'Y', '0', 1, now->year},
        {'y', '0', 2, now->year % 100},
        {'C', '0', 2, now->year / 100},
        {'H', '0', 2, now->hour},
        {'k', ' ', 2, now->hour},
        {'I', '0', 2, (now->hour + 11) % 12 + 1},
        {'l', ' ', 2, (now->hour + 11) % 12 + 1},
        {'M', '0', 2, now->minute},
        {'S', '0', 2, now->second},
        {'f', '0', 6, now->microsecond},
        {'j', '0', 3, year_day + 1},
        {'w', '0', 1, week_day},
        {'u', '0', 1, (week_day + 6) % 7 + 1},
        {'U', '0', 2, (year_day + 7 - week_day) / 7},
        {'W', '0', 2, (year_day + 7 - (week_day + 6) % 7) / 7},
        {'V', '0', 2, iso_week},
        {'G', '0', 4, iso_year},
        {'g', '0', 2, iso_year % 100},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].c == c) {
            number(out, flag, table[i].pad, table[i].width, table[i].value);
            return true;
        }
    return false;
}

static bool put(struct qn_tpl *t, const struct qn_template_time *now, char flag, char c, struct qn_strbuf *out)
{
    int year_day, week_day;
    find_day(now, &year_day, &week_day);
    const char *day = days[week_day], *month = months[now->month - 1], *half = now->hour < 12 ? "AM" : "PM";
    if (put_number(now, flag, c, out))
        return true;
    switch (c) {
    case 'a':
        word(out, flag, day, 3);
        return true;
    case 'A':
        word(out, flag, day, strlen(day));
        return true;
    case 'b':
    case 'h':
        word(out, flag, month, 3);
        return true;
    case 'B':
        word(out, flag, month, strlen(month));
        return true;
    case 'p':
        qn_strbuf_add(out, flag == '#' ? (now->hour < 12 ? "am" : "pm") : half);
        return true;
    case 'P':
        qn_strbuf_add(out, now->hour < 12 ? "am" : "pm");
        return true;
    case 'z':
    case 'Z':
        return true; /* a time without a zone */
    case 'n':
        qn_strbuf_add(out, "\n");
        return true;
    case 't':
        qn_strbuf_add(out, "\t");
        return true;
    case '%':
        qn_strbuf_add(out, "%");
        return true;
    case 'c':
        return put_all(t, now, "a b e H:M:S Y", out);
    case 'x':
    case 'D':
        return put_all(t, now, "m/d/y", out);
    case 'X':
    case 'T':
        return put_all(t, now, "H:M:S", out);
    case 'R':
        return put_all(t, now, "H:M", out);
    case 'r':
        return put_all(t, now, "I:M:S p", out);
    case 'F':
        number(out, 0, '0', 1, now->year);
        qn_strbuf_printf(out, "-%02d-%02d", now->month, now->day);
        return true;
    default:
        return QN_TPL_FAIL(t, "strftime_now: '%%%c' is no conversion", c);
    }
}

bool qn_tpl_strftime(struct qn_tpl *t, struct qn_str format, struct qn_strbuf *out)
{
    struct qn_template_time now = t->options->now ? *t->options->now : system_time();
    if (now.year < 1 || now.year > 9999 || now.month < 1 || now.month > 12 || now.day < 1 || now.day > 31)
        return QN_TPL_FAIL(t, "strftime_now: the time given is no date");
    for (size_t at = 0; at < format.size; at++) {
        char c = format.data[at], flag = 0;
        if (c != '%') {
            qn_strbuf_append(out, &c, 1);
            continue;
        }
        if (at + 1 < format.size && format.data[at + 1] && strchr("-_0^#", format.data[at + 1]))
            flag = format.data[++at];
        if (at + 1 >= format.size) {
            qn_strbuf_add(out, "%");
            break;
        }
        if (!put(t, &now, flag, format.data[++at], out))
            return false;
    }
    return qn_tpl_bytes(t, format.size) && qn_tpl_buf_ok(t, out);
}
