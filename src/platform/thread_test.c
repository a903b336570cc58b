#include "platform/thread.h"

#include "platform/clock.h"
#include "support/testing.h"

struct meeting {
    uint32_t word;
    uint32_t steps;
};

static void step_on_odd(void *context)
{
    struct meeting *meeting = context;
    for (uint32_t i = 1; i < 2000; i += 2) {
        uint32_t now;
        while ((now = __atomic_load_n(&meeting->word, __ATOMIC_ACQUIRE)) != i)
            qn_futex_wait(&meeting->word, now);
        meeting->steps++; /* plain: the turns order it */
        __atomic_store_n(&meeting->word, i + 1, __ATOMIC_RELEASE);
        qn_futex_wake(&meeting->word, 1);
    }
}

static void futex_hands_over(void **state)
{
    (void)state;
    struct meeting meeting = {0};
    struct qn_thread thread;
    qn_assert_ok(qn_thread_start(&thread, "a-name-that-is-too-long-for-it", step_on_odd, &meeting));
    for (uint32_t i = 0; i < 2000; i += 2) {
        uint32_t now;
        while ((now = __atomic_load_n(&meeting.word, __ATOMIC_ACQUIRE)) != i)
            qn_futex_wait(&meeting.word, now);
        meeting.steps++;
        __atomic_store_n(&meeting.word, i + 1, __ATOMIC_RELEASE);
        qn_futex_wake(&meeting.word, 1);
    }
    qn_thread_join(&thread);
    assert_int_equal(meeting.steps, 2000);
}

static void wait_returns_at_once_on_another_value(void **state)
{
    (void)state;
    uint32_t word = 5;
    qn_futex_wait(&word, 4);
    qn_futex_wake(&word, 1);
    assert_int_equal(word, 5);
}

static void cores_and_clock(void **state)
{
    (void)state;
    uint32_t cores = qn_physical_cores();
    assert_in_range(cores, 1, 4096);
    uint64_t begin = qn_clock_ns(), now = begin;
    while (now - begin < 1000000) {
        uint64_t next = qn_clock_ns();
        assert_true(next >= now);
        now = next;
        qn_cpu_relax();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(futex_hands_over),
        cmocka_unit_test(wait_returns_at_once_on_another_value),
        cmocka_unit_test(cores_and_clock),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
