/* Static data: strings, tables, pointers into other objects, zeroed and common storage, thread-local and function-local state. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct planet {
    const char *name;
    double radius;
    const struct planet *next;
};

static const struct planet mars = {"Mars", 3389.5, NULL};
static const struct planet earth = {"Earth", 6371.0, &mars};
static const struct planet venus = {"Venus", 6051.8, &earth};

int shared_counter = 5;
char *greeting = "good morning";
static char *const tail = "good morning" + 5;
static int histogram[26];
static short fibonacci[20] = {1, 1};
static __thread int per_thread = 40;
int (*const shout)(int) = toupper;

static int next_ticket(void)
{
    static int ticket = 100;
    return ++ticket;
}

static void capitalise(char *text)
{
    for (int start = 1; *text; text++) {
        if (start)
            *text = (char)shout((unsigned char)*text);
        start = *text == ' ';
    }
}

int main(void)
{
    for (const struct planet *p = &venus; p; p = p->next)
        printf("%s %.1f\n", p->name, p->radius);

    for (const char *p = greeting; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            histogram[*p - 'a']++;
    for (int i = 0; i < 26; i++)
        if (histogram[i] > 1)
            printf("%c occurs %d times\n", 'a' + i, histogram[i]);

    for (int i = 2; i < 20; i++)
        fibonacci[i] = (short)(fibonacci[i - 1] + fibonacci[i - 2]);
    printf("fibonacci %d %d\n", fibonacci[9], fibonacci[19]);

    char copy[32];
    strcpy(copy, greeting);
    capitalise(copy);
    printf("%s, %s\n", copy, tail);

    per_thread += 2;
    next_ticket();
    next_ticket();
    shared_counter *= next_ticket();
    printf("%d %d\n", shared_counter, per_thread);
    return 0;
}
