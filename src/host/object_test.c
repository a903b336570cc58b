#include "host/object.h"

#include <string.h>

#include "support/testing.h"

static void a_store_takes_nothing_new_once_it_has_seen_the_sizes(void **state)
{
    static const uint64_t sizes[] = {1, 64, 65, 1000, 100000, 3 << 20, 0};
    struct qn_test_allocator t;
    struct qn_store *store;
    void *blocks[7];
    uint64_t held = 0, requests = 0;
    (void)state;
    qn_test_allocator_init(&t, 0);
    qn_assert_ok(qn_store_create(&t.allocator, &store));
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 7; i++) {
            blocks[i] = qn_store_take(store, sizes[i]);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 64, 0);
            memset(blocks[i], round, sizes[i]);
        }
        for (int i = 0; i < 7; i++)
            qn_store_give(store, blocks[i]);
        if (round == 0) {
            held = qn_store_bytes(store);
            requests = t.requests;
        }
        assert_int_equal(qn_store_bytes(store), held);
        assert_int_equal(t.requests, requests);
    }
    assert_null(qn_store_take(store, UINT64_MAX));
    qn_store_give(store, NULL);
    qn_store_destroy(store);
    qn_test_allocator_done(&t);
}

static void text_lives_until_reset(void **state)
{
    struct qn_test_allocator t;
    struct qn_store *store;
    (void)state;
    qn_test_allocator_init(&t, 0);
    qn_assert_ok(qn_store_create(&t.allocator, &store));
    uint64_t requests = 0;
    for (int round = 0; round < 3; round++) {
        char *pieces[300];
        for (int i = 0; i < 300; i++) {
            pieces[i] = qn_store_text(store, 1000);
            assert_non_null(pieces[i]);
            memset(pieces[i], i, 1000);
        }
        assert_non_null(qn_store_text(store, 200000));
        for (int i = 0; i < 300; i++)
            assert_true(pieces[i][0] == (char)i && pieces[i][999] == (char)i);
        qn_store_reset(store);
        if (round == 0)
            requests = t.requests;
        assert_int_equal(t.requests, requests);
    }
    qn_store_destroy(store);
    qn_test_allocator_done(&t);
}

static void objects_are_counted(void **state)
{
    struct qn_test_allocator t;
    struct qn_store *store;
    struct qn_object *tensor, *empty, *lent, *sequence;
    float lent_data[2] = {1, 2};
    (void)state;
    qn_test_allocator_init(&t, 0);
    qn_assert_ok(qn_store_create(&t.allocator, &store));
    qn_assert_ok(qn_object_tensor(store, QN_DTYPE_F32, 3, (int64_t[]){2, 3, 4}, &tensor));
    assert_int_equal(tensor->tensor.strides[0], 12);
    assert_int_equal(tensor->tensor.strides[2], 1);
    qn_assert_ok(qn_object_tensor(store, QN_DTYPE_I64, 2, (int64_t[]){0, 3}, &empty));
    assert_null(empty->tensor.data);
    struct qn_view view = {.data = lent_data, .dtype = QN_DTYPE_F32, .rank = 1, .dims = {2}, .strides = {1}};
    qn_assert_ok(qn_object_borrow(store, &view, &lent));
    struct qn_object *items[] = {tensor, empty, lent, tensor};
    qn_assert_ok(qn_object_group(store, QN_OBJECT_SEQUENCE, items, 4, &sequence));
    assert_int_equal(tensor->references, 3);
    qn_object_release(tensor);
    qn_object_release(empty);
    qn_object_release(lent);
    assert_true(sequence->items[0] == tensor && tensor->references == 2);
    qn_object_hold(sequence);
    qn_object_release(sequence);
    qn_object_release(sequence);
    qn_object_release(NULL);
    qn_assert_fails(qn_object_tensor(store, QN_DTYPE_F32, 1, (int64_t[]){-1}, &tensor), QN_INVALID_ARGUMENT, "-1");
    qn_assert_fails(qn_object_tensor(store, QN_DTYPE_F32, 2, (int64_t[]){INT64_MAX, 8}, &tensor), QN_OUT_OF_MEMORY,
                    "overflows");
    uint64_t held = qn_store_bytes(store);
    qn_assert_ok(qn_object_tensor(store, QN_DTYPE_F32, 3, (int64_t[]){2, 3, 4}, &tensor)); /* what came back serves */
    assert_int_equal(qn_store_bytes(store), held);
    qn_object_release(tensor);
    qn_store_destroy(store);
    qn_test_allocator_done(&t);
}

static qn_status make_objects(const struct qn_allocator *allocator, void *context)
{
    struct qn_store *store;
    struct qn_object *tensor = NULL, *sequence = NULL;
    (void)context;
    qn_status created = qn_store_create(allocator, &store);
    if (created)
        return created;
    qn_status status = qn_object_tensor(store, QN_DTYPE_F32, 1, (int64_t[]){1000}, &tensor);
    if (!status)
        status = qn_object_group(store, QN_OBJECT_OPTIONAL, &tensor, 1, &sequence);
    qn_object_release(sequence);
    qn_object_release(tensor);
    qn_store_destroy(store);
    return status;
}

static void lack_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(make_objects, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_takes_nothing_new_once_it_has_seen_the_sizes),
        cmocka_unit_test(text_lives_until_reset),
        cmocka_unit_test(objects_are_counted),
        cmocka_unit_test(lack_of_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("objects of a run", tests, NULL, NULL);
}
