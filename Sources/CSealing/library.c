#include "library.h"

#include <pthread.h>
#include <stdlib.h>

static struct csealing_library library;
static int library_is_complete;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static _Thread_local struct csealing_thread *thread_contexts;
static pthread_key_t thread_key;

static void free_thread(void *value) {
    struct csealing_thread *thread = value;
    csealing_ctr_clear(&thread->ctr);
    EVP_MD_CTX_free(thread->digest);
    free(thread);
    thread_contexts = NULL;
}

static void fetch(void) {
    library.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    library.ctr = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    library.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    library.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    for (size_t rank = 0; rank < lanes_kinds_max; rank++)
        library.lanes[rank] = lanes_available(rank);
    library_is_complete = library.gcm && library.ctr && library.sha256 && library.hkdf &&
                          pthread_key_create(&thread_key, free_thread) == 0;
}

const struct csealing_library *csealing_library(void) {
    pthread_once(&library_once, fetch);
    return library_is_complete ? &library : NULL;
}

struct csealing_thread *csealing_thread(void) {
    if (thread_contexts) return thread_contexts;
    if (!csealing_library()) return NULL;
    struct csealing_thread *thread = calloc(1, sizeof *thread);
    if (!thread) return NULL;
    thread->digest = EVP_MD_CTX_new();
    if (!thread->digest || pthread_setspecific(thread_key, thread) != 0) {
        free_thread(thread);
        return NULL;
    }
    thread_contexts = thread;
    return thread;
}
