/* Threads: C11 atomics of every width, compare-and-exchange loops, locks, message passing (translate with --memory-order tso). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { THREADS = 3, ROUNDS = 3000, MESSAGES = 1200, BOXES = 8, WORDS = 16 };

static _Atomic uint8_t bytes[3];
static _Atomic uint16_t halves[3];
static _Atomic uint32_t count, maximum, bits;
static _Atomic uint64_t wide;
static atomic_flag flag = ATOMIC_FLAG_INIT;
static _Atomic int lock;
static long under_flag, under_lock, under_mutex;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct {
    int words[WORDS];
    _Atomic int full;
} boxes[BOXES];

static void raise_maximum(uint32_t value)
{
    uint32_t old = atomic_load(&maximum);
    while (old < value && !atomic_compare_exchange_weak(&maximum, &old, value))
        continue;
}

static void *count_up(void *argument)
{
    uint32_t seed = (uint32_t)(uintptr_t)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&bytes[i % 3], 1);
        atomic_fetch_sub(&halves[i % 3], 3);
        count++;
        wide += 0x100000001;
        seed = seed * 1664525 + 1013904223;
        raise_maximum(seed >> 8);
        atomic_fetch_xor(&bits, 1u << i % 31);
        if (atomic_fetch_or(&bits, 0x80000000u) == 1)
            atomic_fetch_and(&bits, 0x7fffffffu);

        while (atomic_flag_test_and_set(&flag))
            continue;
        under_flag++;
        atomic_flag_clear(&flag);

        while (atomic_exchange_explicit(&lock, 1, memory_order_acquire))
            while (atomic_load_explicit(&lock, memory_order_relaxed))
                continue;
        under_lock += 2;
        atomic_store_explicit(&lock, 0, memory_order_release);

        pthread_mutex_lock(&mutex);
        under_mutex += 3;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *send(void *argument)
{
    for (int n = 0; n < MESSAGES; n++) {
        while (atomic_load_explicit(&boxes[n % BOXES].full, memory_order_acquire))
            continue;
        for (int i = 0; i < WORDS; i++)
            boxes[n % BOXES].words[i] = n * WORDS + i;
        atomic_store_explicit(&boxes[n % BOXES].full, 1, memory_order_release);
    }
    return argument;
}

static void *receive(void *argument)
{
    long *sum = argument;
    for (int n = 0; n < MESSAGES; n++) {
        while (!atomic_load_explicit(&boxes[n % BOXES].full, memory_order_acquire))
            continue;
        for (int i = 0; i < WORDS; i++)
            *sum += boxes[n % BOXES].words[i];
        atomic_store(&boxes[n % BOXES].full, 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS], sender, receiver;
    long sum = 0;
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, count_up, (void *)(i + 1)))
            return 1;
    if (pthread_create(&sender, NULL, send, NULL) || pthread_create(&receiver, NULL, receive, &sum))
        return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(sender, NULL);
    pthread_join(receiver, NULL);
    atomic_thread_fence(memory_order_seq_cst);
    printf("bytes %u %u %u, halves %u %u %u\n", bytes[0], bytes[1], bytes[2], halves[0], halves[1], halves[2]);
    printf("count %u, wide %llx, maximum %u, bits %x\n", count, (unsigned long long)wide, maximum, bits);
    printf("flag %ld, lock %ld, mutex %ld, messages %ld\n", under_flag, under_lock, under_mutex, sum);

    uint8_t byte = bytes[0];
    uint16_t half = 1;
    uint64_t word = wide;
    int same = atomic_compare_exchange_strong(&bytes[0], &byte, 7);
    int other = atomic_compare_exchange_strong(&halves[0], &half, 7);
    int whole = atomic_compare_exchange_strong(&wide, &word, ~word);
    printf("exchanged %d %d %d: %u %u %llx\n", same, other, whole, bytes[0], half, (unsigned long long)wide);
    return 0;
}
