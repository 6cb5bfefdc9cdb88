/* The C ABI of sunhwan's kernels: SimpleRNN, GRU and LSTM over whole sequences, forward and backward.
 *
 * Plain C, so that any language can load it. It knows nothing of Python or of a framework, and never aborts:
 * every function that can fail checks its arguments, returns a status and leaves a sentence for
 * sunhwan_message(). All arrays are float32 (the padding mask: bytes), C-contiguous, in the layouts of Keras,
 * owned by the caller, and used only during the call. Outputs must not overlap inputs or each other.
 *
 * Letters in shapes: B batch, T timesteps, D features, H units, S states (LSTM 2: h and c; else 1),
 * G gates (SimpleRNN 1, GRU 3: z r h, LSTM 4: i f c o).
 *
 * Outputs and gradients are bitwise the same for any number of threads and from call to call; output, states,
 * d_inputs and d_initial_state also for a batch that is computed in parts.
 *
 * The kernels treat numbers below 1.2e-38 (denormals) as zero in every thread: frameworks flush them in some threads
 * only, and on some processors each costs a hundred times as much.
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

/* Incremented whenever anything below changes its meaning or its layout. */
#define SUNHWAN_ABI_VERSION 1

enum sunhwan_status {
  SUNHWAN_OK = 0,
  SUNHWAN_INVALID_ARGUMENT = 1, /* the message says what was received and what was expected */
  SUNHWAN_OUT_OF_MEMORY = 2,    /* the outputs are undefined */
};

enum sunhwan_cell { SUNHWAN_SIMPLE_RNN = 0, SUNHWAN_GRU = 1, SUNHWAN_LSTM = 2 };

/* For each, in that order: its name, G, S, and how many values per unit forward saves of a step at most. */
#define SUNHWAN_CELLS {"SimpleRNN", 1, 1, 1}, {"GRU", 3, 1, 5}, {"LSTM", 4, 2, 5}

enum sunhwan_activation {
  SUNHWAN_LINEAR = 0,
  SUNHWAN_RELU = 1,
  SUNHWAN_TANH = 2,
  SUNHWAN_SIGMOID = 3,
  SUNHWAN_HARD_SIGMOID = 4, /* relu6(x + 3) / 6, as in Keras 3 */
};

/* One recurrence: its options, the arrays it reads and the arrays its forward pass writes. Pass the same struct, with
 * the same values, to sunhwan_backward. Flags are 0 or 1. */
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
  int32_t dropout_mask_gates; /* dropout masks of the input: 0 (none), 1 (for all gates) or G (one per gate) */
  int32_t recurrent_dropout_mask_gates; /* dropout masks of h, where it enters the recurrent product: 0, 1 or G */
  int64_t batch, timesteps, features, units; /* B may be 0; the others are at least 1 */

  /* Read. */
  const float *inputs;           /* (B, T, D) */
  const float *kernel;           /* (D, G*H) */
  const float *recurrent_kernel; /* (H, G*H) */
  const float *bias;             /* (G*H), for a GRU with reset_after (2, G*H); NULL: none */
  const float *initial_state;    /* (S, B, H); NULL: zeros */
  const uint8_t *mask;           /* (B, T) nonzero where there is data; NULL: everywhere */
  const float *dropout_mask;     /* (dropout_mask_gates, B, D), the same at every timestep; NULL if 0 */
  const float *recurrent_dropout_mask; /* (recurrent_dropout_mask_gates, B, H); NULL if 0 */

  /* Written by forward; backward reads only `saved`. */
  float *output; /* (B, T, H) or (B, H); NULL: not wanted */
  float *states; /* (S, B, H) after the last step; NULL: not wanted */
  float *saved;  /* (B, sunhwan_saved_per_sequence()) what backward needs, in the library's own layout;
                    NULL: there will be no backward */
} sunhwan_recurrence;

/* The gradients of a loss: given with respect to what forward wrote, computed with respect to what it read. */
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

/* SUNHWAN_ABI_VERSION of the library; compare it before calling anything else. */
SUNHWAN_API int32_t sunhwan_abi_version(void);

/* Why this thread's last call failed, as one sentence; "" if it succeeded. Valid until the next call. */
SUNHWAN_API const char *sunhwan_message(void);

/* Floats that forward saves for each sequence of the batch, with every instruction set; -1 and a message if the
 * description is not valid. Only the fields before the arrays are read, and not the batch. */
SUNHWAN_API int64_t sunhwan_saved_per_sequence(const sunhwan_recurrence *recurrence);

SUNHWAN_API int sunhwan_forward(const sunhwan_recurrence *recurrence);
SUNHWAN_API int sunhwan_backward(const sunhwan_recurrence *recurrence, const sunhwan_gradients *gradients);

/* The same, but the library keeps `saved` between the two calls (the field in the struct is ignored): for callers whose
 * own memory is fresh at every call, so that the first touch of tens of megabytes would take longer than the
 * arithmetic. Forward returns a unique ticket above 0; backward takes the ticket and releases the memory. If a ticket
 * is unknown (any more), backward runs forward again: the library keeps a bounded amount and drops the oldest first, so
 * dropping a ticket, or using it twice, costs only time. */
SUNHWAN_API int sunhwan_forward_held(const sunhwan_recurrence *recurrence, int64_t *ticket);
SUNHWAN_API int sunhwan_backward_held(const sunhwan_recurrence *recurrence, int64_t ticket,
                                      const sunhwan_gradients *gradients);

/* How often backward has had to run forward again. */
SUNHWAN_API int64_t sunhwan_recomputed(void);

/* One recurrence prepared for one call per timestep: its weights are copied and packed once.
 *
 * `recurrence` is as for forward with timesteps = 1. Only cell, activations, reset_after, features, units, kernel,
 * recurrent_kernel and bias are used; the other fields must be valid or 0. The handle is NULL on failure; free it with
 * sunhwan_stepper_free. Several threads may use a handle at once. */
typedef struct sunhwan_stepper sunhwan_stepper;
SUNHWAN_API int sunhwan_stepper_new(const sunhwan_recurrence *recurrence, sunhwan_stepper **stepper);
SUNHWAN_API void sunhwan_stepper_free(sunhwan_stepper *stepper);

/* One timestep: inputs (B, D); states (S, B, H), updated in place; states[0] is the output. */
SUNHWAN_API int sunhwan_stepper_step(const sunhwan_stepper *stepper, int64_t batch, const float *inputs,
                                     float *states);

/* Conformal prediction intervals of one series: the margins of each of S steps ahead, learnt from the R latest scores.
 *
 * For a stream of observations: update with the current observation, issue the forecast made from it, and repeat. All
 * numbers are float64. The caller owns and initialises all arrays and may read and write them between calls. One call
 * at a time. */
typedef struct sunhwan_intervals {
  uint32_t abi_version;  /* SUNHWAN_ABI_VERSION of the caller's header */
  int64_t steps, recent; /* S and R, at least 1 */
  int64_t room;          /* times whose forecasts are remembered: more than the last of `ahead` */
  int64_t time;          /* updates so far, from 0 */
  double target;         /* share of values that may be missed, above 0 and below 1 */
  double ceiling;        /* upper limit of the miss rates, above 0 and below 1 */
  const int64_t *ahead;  /* (S) how far ahead each step is: rising, from 1 */
  const double *rates;   /* (S) by how much a miss moves a step's miss rate */
  double *miss_rates;    /* (S) */
  double *margins;       /* (S) */
  double *latest;        /* (S, R) scores in order of arrival: a ring */
  double *ordered;       /* (S, R) the same in ascending order */
  int64_t *place;        /* (S) where the next score goes in the ring: over the oldest, once it is full */
  int64_t *counts;       /* (S) number of scores, the first of `ordered` */
  double *said;          /* (3, room, S) lower bounds, upper bounds and margins issued at `time % room`, NaN where none
                            were; NULL until something is issued */
  uint8_t *made;         /* (room) 1 where something was issued */
} sunhwan_intervals;

/* Goes on to the next time, at which `truth` was observed (NaN: missing): every step learns from what it had issued. */
SUNHWAN_API int sunhwan_intervals_update(sunhwan_intervals *intervals, double truth);

/* The intervals of a forecast made now, recorded in `said`. lower, upper: (S) bounds, finite or NaN, swapped if crossed;
 * overwritten by the intervals. */
SUNHWAN_API int sunhwan_intervals_issue(sunhwan_intervals *intervals, double *lower, double *upper);

/* The instruction set in use: "avx512", "avx2" or "portable". It is the best that the processor supports, unless the
 * environment variable SUNHWAN_ISA names another; NULL, and a message, if that is unknown or not supported. */
SUNHWAN_API const char *sunhwan_isa(void);

/* Chooses another instruction set for later calls: for tests and timings. `saved` cannot be used across instruction
 * sets. */
SUNHWAN_API int sunhwan_set_isa(const char *name);

/* Threads that work on one call, including the caller's: the processor's, or SUNHWAN_NUM_THREADS. */
SUNHWAN_API int32_t sunhwan_num_threads(void);
SUNHWAN_API int sunhwan_set_num_threads(int32_t threads);

/* Bytes of workspace kept for later calls; and releasing them, together with what is kept for backward. */
SUNHWAN_API int64_t sunhwan_memory_kept(void);
SUNHWAN_API void sunhwan_release_memory(void);

/* The peak that kernels are compared with: billions of floating-point operations per second that `threads` threads
 * reach with fused multiply-adds on registers, in the instruction set in use. Takes about `seconds`. */
SUNHWAN_API double sunhwan_peak_gflops(int32_t threads, double seconds);

#ifdef __cplusplus
}
#endif

#endif
