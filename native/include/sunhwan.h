/* The C ABI of sunhwan's kernels: SimpleRNN, GRU and LSTM over whole sequences, forward and backward.
 *
 * Plain C, so that any language can load it. Nothing here knows of Python or of a framework; nothing aborts:
 * every function that can fail checks its arguments, returns a status and leaves a sentence for
 * sunhwan_message(). All arrays are float32 (the padding mask: bytes), C-contiguous, in the layouts of Keras,
 * owned by the caller, and only used during the call. Outputs may not overlap inputs or each other.
 *
 * Letters in shapes: B batch, T timesteps, D features, H units, S states (LSTM 2: h and c; else 1),
 * G gates (SimpleRNN 1, GRU 3: z r h, LSTM 4: i f c o).
 *
 * Outputs and gradients are bitwise the same for any number of threads and from call to call; output, states,
 * d_inputs and d_initial_state also for a batch that is computed in parts.
 *
 * Numbers below 1.2e-38 (denormals) are zero to the kernels, in every thread: which threads of a framework flush them
 * differs, and some processors take a hundred times as long for each.
 *
 * All functions may be called from several threads at once, and after fork().
 */
#ifndef SUNHWAN_H
#define SUNHWAN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SUNHWAN_API __attribute__((visibility("default")))

/* Raised whenever anything below changes its meaning or its layout. */
#define SUNHWAN_ABI_VERSION 1

enum sunhwan_status {
  SUNHWAN_OK = 0,
  SUNHWAN_INVALID_ARGUMENT = 1, /* the message says what was received and what was expected */
  SUNHWAN_OUT_OF_MEMORY = 2,    /* outputs hold nothing of use */
};

enum sunhwan_cell { SUNHWAN_SIMPLE_RNN = 0, SUNHWAN_GRU = 1, SUNHWAN_LSTM = 2 };

/* What each is, in that order: its name, G, S, and the most values a unit that forward saves of a step. */
#define SUNHWAN_CELLS {"SimpleRNN", 1, 1, 1}, {"GRU", 3, 1, 5}, {"LSTM", 4, 2, 5}

enum sunhwan_activation {
  SUNHWAN_LINEAR = 0,
  SUNHWAN_RELU = 1,
  SUNHWAN_TANH = 2,
  SUNHWAN_SIGMOID = 3,
  SUNHWAN_HARD_SIGMOID = 4, /* relu6(x + 3) / 6, as in Keras 3 */
};

/* One recurrence: what it is, what it reads and what its forward pass writes. The same struct, with the same
 * values, goes to sunhwan_backward. Flags are 0 or 1. */
typedef struct sunhwan_recurrence {
  uint32_t abi_version; /* SUNHWAN_ABI_VERSION of the caller's header */
  int32_t cell;         /* enum sunhwan_cell */
  int32_t activation;   /* enum sunhwan_activation: of states and candidates */
  int32_t recurrent_activation; /* likewise, of the gates of GRU and LSTM */
  int32_t reset_after;          /* GRU: the reset gate acts after the recurrent product (1) or before (0) */
  int32_t go_backwards;         /* read from the end; outputs come in the order of reading */
  int32_t return_sequences;     /* output is (B, T, H) instead of (B, H) */
  int32_t zero_output_for_mask; /* zeros at steps without data, instead of the output before them */
  int32_t zero_before_data; /* zeros at steps ahead of all data, instead of the initial h (the states keep it) */
  int32_t x_mask_gates;     /* dropout masks of the input: 0 (none), 1 (one for all gates) or G (one each) */
  int32_t h_mask_gates;     /* dropout masks of h where it enters the recurrent product: 0, 1 or G */
  int64_t batch, timesteps, features, units; /* B may be 0; the others are 1 and more */

  /* Read. */
  const float *inputs;           /* (B, T, D) */
  const float *kernel;           /* (D, G*H) */
  const float *recurrent_kernel; /* (H, G*H) */
  const float *bias;             /* (G*H), for a GRU with reset_after (2, G*H); NULL: none */
  const float *initial_state;    /* (S, B, H); NULL: zeros */
  const uint8_t *mask;           /* (B, T) nonzero where there is data; NULL: everywhere */
  const float *x_mask;           /* (x_mask_gates, B, D), the same at every timestep; NULL if 0 */
  const float *h_mask;           /* (h_mask_gates, B, H); NULL if 0 */

  /* Written by forward; of these backward reads only `saved`. */
  float *output; /* (B, T, H) or (B, H); NULL: not wanted */
  float *states; /* (S, B, H) after the last step; NULL: not wanted */
  float *saved;  /* (B, sunhwan_saved_per_sequence()) what backward needs, in a layout of the library's own;
                    NULL: there will be no backward */
} sunhwan_recurrence;

/* The gradient of a loss, given with respect to what forward wrote, and asked for what it read. */
typedef struct sunhwan_gradients {
  const float *d_output; /* as output; NULL: zeros */
  const float *d_states; /* (S, B, H); NULL: zeros */

  /* Written (not added to). NULL: not wanted, and then not computed. */
  float *d_inputs;           /* (B, T, D) */
  float *d_initial_state;    /* (S, B, H) */
  float *d_kernel;           /* (D, G*H) */
  float *d_recurrent_kernel; /* (H, G*H) */
  float *d_bias;             /* as bias; must be NULL where bias is */
} sunhwan_gradients;

/* SUNHWAN_ABI_VERSION of the library, to be compared before anything else is called. */
SUNHWAN_API int32_t sunhwan_abi_version(void);

/* Why the last call of this thread that can fail did, as one sentence; "" if it did not. Valid until the next one. */
SUNHWAN_API const char *sunhwan_message(void);

/* Floats that forward saves for each sequence of the batch, with every instruction set; -1 and a message if the
 * description is not valid. Only the fields before the arrays are read, and not the batch. */
SUNHWAN_API int64_t sunhwan_saved_per_sequence(const sunhwan_recurrence *recurrence);

SUNHWAN_API int sunhwan_forward(const sunhwan_recurrence *recurrence);
SUNHWAN_API int sunhwan_backward(const sunhwan_recurrence *recurrence, const sunhwan_gradients *gradients);

/* The same, with `saved` held by the library between the two (saved in the struct is not looked at): for callers whose
 * own memory is fresh at every call, where the first touch of tens of megabytes would take longer than the
 * arithmetic. Forward hands out a ticket, above 0, which no other call gets; backward takes the ticket and gives the
 * memory back. Where a ticket is not known (any more), backward runs forward again: what is held is bounded, and the
 * oldest goes first, so a ticket may be dropped, or used twice, at the price of time alone. */
SUNHWAN_API int sunhwan_forward_held(const sunhwan_recurrence *recurrence, int64_t *ticket);
SUNHWAN_API int sunhwan_backward_held(const sunhwan_recurrence *recurrence, int64_t ticket,
                                      const sunhwan_gradients *gradients);

/* How often backward has had to run forward again. */
SUNHWAN_API int64_t sunhwan_recomputed(void);

/* One recurrence held ready for a call a timestep: its weights copied and laid out once.
 *
 * `recurrence` is as for forward with timesteps = 1: only cell, activations, reset_after, features, units, kernel,
 * recurrent_kernel and bias are used; the other fields hold valid values or 0. The handle is NULL on failure; free it with sunhwan_stepper_free.
 * A handle may be used by several threads at once. */
typedef struct sunhwan_stepper sunhwan_stepper;
SUNHWAN_API int sunhwan_stepper_new(const sunhwan_recurrence *recurrence, sunhwan_stepper **stepper);
SUNHWAN_API void sunhwan_stepper_free(sunhwan_stepper *stepper);

/* One timestep: inputs (B, D), states (S, B, H) read and overwritten in place; states[0] is the output. */
SUNHWAN_API int sunhwan_stepper_step(const sunhwan_stepper *stepper, int64_t batch, const float *inputs,
                                     float *states);

/* Conformal prediction intervals of one series: margins of each of S steps ahead, learnt from the R latest scores.
 *
 * For a stream, in which one observation comes after the other: update with what was observed now, issue what is
 * forecast from it, and again. All numbers are float64; all arrays are the caller's, who fills them to begin with, and
 * may read and write them between calls. One call at a time. */
typedef struct sunhwan_intervals {
  uint32_t abi_version;  /* SUNHWAN_ABI_VERSION of the caller's header */
  int64_t steps, recent; /* S and R, 1 and more */
  int64_t room;          /* times for which forecasts are kept: more than the last of `ahead` */
  int64_t time;          /* updates so far; from 0 on */
  double target;         /* share of truths that may be missed, above 0 and below 1 */
  double ceiling;        /* of the miss rates, above 0 and below 1 */
  const int64_t *ahead;  /* (S) how many times ahead each step is: rising, from 1 on */
  const double *rates;   /* (S) by how much a miss moves a step's miss rate */
  double *miss_rates;    /* (S) */
  double *margins;       /* (S) */
  double *latest;        /* (S, R) scores in the order in which they came: a ring */
  double *ordered;       /* (S, R) the same in ascending order */
  int64_t *place;        /* (S) of the next score in the ring: the oldest one's, once the ring is full */
  int64_t *counts;       /* (S) scores there are, the first ones of `ordered` */
  double *said;          /* (3, room, S) lower bounds, upper bounds and margins that were said at `time % room`, NaN where
                            nothing was; NULL as long as nothing was ever said */
  uint8_t *made;         /* (room) 1 where something was said */
} sunhwan_intervals;

/* Goes on to the next time, at which `truth` was observed (NaN: nothing was): every step learns from what it had said. */
SUNHWAN_API int sunhwan_intervals_update(sunhwan_intervals *intervals, double truth);

/* The intervals of a forecast made now, noted down in `said`. lower, upper: (S) bounds, finite or NaN, crossed ones are
 * swapped; overwritten by the intervals. */
SUNHWAN_API int sunhwan_intervals_issue(sunhwan_intervals *intervals, double *lower, double *upper);

/* The instruction set in use: "avx512", "avx2" or "portable". The best one that the processor has, unless the
 * environment variable SUNHWAN_ISA names another; NULL, and a message, where that is unknown or not there. */
SUNHWAN_API const char *sunhwan_isa(void);

/* Chooses another instruction set for the calls that begin after it: for tests and timings. `saved` of one
 * is of no use to another. */
SUNHWAN_API int sunhwan_set_isa(const char *name);

/* Threads that work on one call, the caller's included: those of the processor, or SUNHWAN_NUM_THREADS. */
SUNHWAN_API int32_t sunhwan_num_threads(void);
SUNHWAN_API int sunhwan_set_num_threads(int32_t threads);

/* Bytes kept for the next call, of which nothing is needed; and giving them back, with what is held for backward. */
SUNHWAN_API int64_t sunhwan_memory_kept(void);
SUNHWAN_API void sunhwan_release_memory(void);

/* Billions of floating-point operations a second that `threads` threads reach together with fused multiply-adds
 * on registers alone in the instruction set in use: what kernels are measured against. Takes about `seconds`. */
SUNHWAN_API double sunhwan_peak_gflops(int32_t threads, double seconds);

#ifdef __cplusplus
}
#endif

#endif
