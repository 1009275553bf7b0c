/* Five kernels whose hot loops call nothing: the first argument names the one to run. Only their instructions matter; what
 * they print is compared, so that a count of wrong work does not pass. */
#include <stdio.h>
#include <string.h>

enum { SIEVE_LIMIT = 2000000, ORDER = 100, SORTED = 20000 };

#define KERNEL __attribute__((noinline))

static unsigned char composite[SIEVE_LIMIT];
static double left[ORDER * ORDER], right[ORDER * ORDER], result[ORDER * ORDER];
static int numbers[SORTED];

/* Eratosthenes: the number of primes below limit. */
KERNEL int count_primes(int limit)
{
    int primes = 0;
    for (int n = 2; n < limit; n++) {
        if (composite[n])
            continue;
        primes++;
        for (long multiple = (long)n * n; multiple < limit; multiple += n)
            composite[multiple] = 1;
    }
    return primes;
}

/* The textbook product of two n by n matrices of doubles. */
KERNEL double multiply_matrices(int n)
{
    for (int i = 0; i < n * n; i++) {
        left[i] = i * 0.5;
        right[i] = i * 0.25;
    }
    for (int row = 0; row < n; row++)
        for (int column = 0; column < n; column++) {
            double sum = 0;
            for (int k = 0; k < n; k++)
                sum += left[row * n + k] * right[k * n + column];
            result[row * n + column] = sum;
        }
    return result[n * n / 2];
}

/* CRC-32 (IEEE 802.3, reflected), one bit at a time. */
KERNEL unsigned crc32_bitwise(const unsigned char *bytes, int length)
{
    unsigned crc = ~0u;
    for (int i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xEDB88320u & -(crc & 1));
    }
    return ~crc;
}

/* Hoare's quicksort of a[low..high], both ends included. */
KERNEL void quicksort(int *a, int low, int high)
{
    if (low >= high)
        return;
    int pivot = a[(low + high) / 2], i = low, j = high;
    while (i <= j) {
        while (a[i] < pivot)
            i++;
        while (a[j] > pivot)
            j--;
        if (i <= j) {
            int swapped = a[i];
            a[i++] = a[j];
            a[j--] = swapped;
        }
    }
    quicksort(a, low, j);
    quicksort(a, i, high);
}

/* A jump table taken once for each character. */
KERNEL long dispatch(const char *text, int rounds)
{
    long hash = 0;
    for (int round = 0; round < rounds; round++)
        for (const char *p = text; *p; p++)
            switch (*p & 7) {
            case 0: hash += *p; break;
            case 1: hash ^= hash << 3; break;
            case 2: hash -= 7; break;
            case 3: hash *= 31; break;
            case 4: hash += round; break;
            case 5: hash = ~hash; break;
            case 6: hash >>= 1; break;
            default: hash |= 1;
            }
    return hash;
}

static int sort_ten_times(void)
{
    unsigned seed = 1;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < SORTED; i++) {
            seed = seed * 1103515245u + 12345u;
            numbers[i] = (int)(seed >> 8);
        }
        quicksort(numbers, 0, SORTED - 1);
    }
    return numbers[777];
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "sieve") == 0)
        printf("%d\n", count_primes(SIEVE_LIMIT));
    else if (strcmp(name, "matmul") == 0)
        printf("%g\n", multiply_matrices(ORDER));
    else if (strcmp(name, "crc") == 0)
        printf("%08x\n", crc32_bitwise(composite, SIEVE_LIMIT));
    else if (strcmp(name, "quicksort") == 0)
        printf("%d\n", sort_ten_times());
    else if (strcmp(name, "switch") == 0)
        printf("%ld\n", dispatch("the quick brown fox jumps over the lazy dog", 40000));
    else
        return 2;
    return 0;
}
