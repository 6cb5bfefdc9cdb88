// XLA FFI handlers over the C ABI: one forward and one backward call for every cell, as JAX makes them.
//
// A library of its own, so that the kernels themselves need no header of any framework. The options are
// attributes; an array that is not given, and a result that is not wanted, has no elements.

#include <algorithm>
#include <initializer_list>
#include <string>

#include "plan.h"
#include "sunhwan.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

using Floats = ffi::Buffer<ffi::F32>;
using Bools = ffi::Buffer<ffi::PRED>;
using FloatsResult = ffi::Result<Floats>;

struct Options {
  int32_t cell, activation, recurrent_activation;
  int32_t reset_after, go_backwards, return_sequences, zero_output_for_mask, zero_before_data;
};
XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(Options, StructMember<int32_t>("cell"), StructMember<int32_t>("activation"),
                                      StructMember<int32_t>("recurrent_activation"),
                                      StructMember<int32_t>("reset_after"), StructMember<int32_t>("go_backwards"),
                                      StructMember<int32_t>("return_sequences"),
                                      StructMember<int32_t>("zero_output_for_mask"),
                                      StructMember<int32_t>("zero_before_data"));

namespace {

// The data of each buffer, if its shape is the one that the sizes of the call ask for. The kernels get addresses
// alone, so this is the last place where a wrong shape can be told from a right one.
class Shapes {
 public:
  template <typename Buffer>
  auto *required(const char *name, const Buffer &buffer, std::initializer_list<int64_t> expected) {
    auto received = buffer.dimensions();
    if (error_.empty() &&
        (received.size() != expected.size() || !std::equal(expected.begin(), expected.end(), received.begin()))) {
      error_ = std::string(name) + " has shape " + written(received) + ", expected " + written(expected);
    }
    return buffer.typed_data();
  }

  template <typename Buffer>
  auto *optional(const char *name, const Buffer &buffer, std::initializer_list<int64_t> expected) {
    return buffer.element_count() ? required(name, buffer, expected) : nullptr;
  }

  const std::string &error() const { return error_; }

 private:
  template <typename Dimensions>
  static std::string written(const Dimensions &dimensions) {
    std::string sizes;
    for (int64_t size : dimensions) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    return "(" + sizes + ")";
  }

  std::string error_;
};

// Of an array without axes, or one that is not there, it is 0.
int64_t first_size(const Floats &array) { return array.dimensions().size() ? array.dimensions()[0] : 0; }

// What forward and backward have in common.
struct Call : sunhwan_recurrence {
  int64_t gates, columns, states_count;

  Call(const Options &o, Shapes &shapes, Floats x, Floats k, Floats u, Floats b, Floats s, Bools m, Floats dx, Floats dh)
      : sunhwan_recurrence{} {
    abi_version = SUNHWAN_ABI_VERSION;
    cell = o.cell;
    activation = o.activation;
    recurrent_activation = o.recurrent_activation;
    reset_after = o.reset_after;
    go_backwards = o.go_backwards;
    return_sequences = o.return_sequences;
    zero_output_for_mask = o.zero_output_for_mask;
    zero_before_data = o.zero_before_data;

    auto sizes = x.dimensions();
    if (sizes.size() == 3) batch = sizes[0], timesteps = sizes[1], features = sizes[2];
    units = first_size(u);
    gates = sunhwan::gates_of(cell);
    columns = gates * units;
    states_count = sunhwan::states_of(cell);
    dropout_mask_gates = static_cast<int32_t>(first_size(dx));
    recurrent_dropout_mask_gates = static_cast<int32_t>(first_size(dh));

    inputs = shapes.required("inputs", x, {batch, timesteps, features});
    kernel = shapes.required("kernel", k, {features, columns});
    recurrent_kernel = shapes.required("recurrent_kernel", u, {units, columns});
    bias = two_rows() ? shapes.optional("bias", b, {2, columns}) : shapes.optional("bias", b, {columns});
    initial_state = shapes.optional("initial_state", s, {states_count, batch, units});
    mask = reinterpret_cast<const uint8_t *>(shapes.optional("mask", m, {batch, timesteps}));
    dropout_mask = shapes.optional("dropout_mask", dx, {dropout_mask_gates, batch, features});
    recurrent_dropout_mask = shapes.optional("recurrent_dropout_mask", dh, {recurrent_dropout_mask_gates, batch, units});
  }

  bool two_rows() const { return cell == SUNHWAN_GRU && reset_after; }

  float *output_of(Shapes &shapes, const char *name, Floats array) const {
    return return_sequences ? shapes.optional(name, array, {batch, timesteps, units})
                            : shapes.optional(name, array, {batch, units});
  }

  float *saved_of(Shapes &shapes, Floats array) const { return shapes.optional("saved", array, {batch, TICKET}); }

  static constexpr int64_t TICKET = 3;
};

// What backward needs stays with the library (sunhwan_forward_held), since XLA's memory is fresh at every run of a
// program; XLA gets the ticket, once for each sequence. To XLA that is an array like any other: it may gather the
// parts that several devices have written, or cut one into parts, or stack several. So a row also says which one it
// is, and backward takes a ticket only if all rows of one call are there, in their order. float32 holds each whole.
constexpr int64_t HALF = 1 << 24;

void write_ticket(int64_t ticket, int64_t batch, float *rows) {
  for (int64_t row = 0; row < batch; row++, rows += Call::TICKET) {
    rows[0] = static_cast<float>(ticket / HALF);
    rows[1] = static_cast<float>(ticket % HALF);
    rows[2] = static_cast<float>(row % HALF);
  }
}

// 0, which is no ticket, where the rows are not those of one call.
int64_t read_ticket(int64_t batch, const float *rows) {
  if (batch == 0) return 0;
  for (int64_t row = 0; row < batch; row++) {
    const float *here = rows + row * Call::TICKET;
    if (here[0] != rows[0] || here[1] != rows[1] || here[2] != static_cast<float>(row % HALF)) return 0;
  }
  bool whole = rows[0] >= 0 && rows[0] < HALF && rows[1] >= 0 && rows[1] < HALF;
  return whole ? static_cast<int64_t>(rows[0]) * HALF + static_cast<int64_t>(rows[1]) : 0;
}

ffi::Error answer(int status) {
  if (status == SUNHWAN_OK) return ffi::Error::Success();
  auto code = status == SUNHWAN_OUT_OF_MEMORY ? ffi::ErrorCode::kResourceExhausted : ffi::ErrorCode::kInvalidArgument;
  return ffi::Error(code, std::string("sunhwan: ") + sunhwan_message());
}

ffi::Error forward(Options options, Floats inputs, Floats kernel, Floats recurrent_kernel, Floats bias,
                   Floats initial_state, Bools mask, Floats dropout_mask, Floats recurrent_dropout_mask,
                   FloatsResult output, FloatsResult states, FloatsResult saved) {
  Shapes shapes;
  Call call(options, shapes, inputs, kernel, recurrent_kernel, bias, initial_state, mask, dropout_mask,
            recurrent_dropout_mask);
  call.output = call.output_of(shapes, "output", *output);
  call.states = shapes.optional("states", *states, {call.states_count, call.batch, call.units});
  float *ticket_rows = call.saved_of(shapes, *saved);
  if (!shapes.error().empty()) return ffi::Error::InvalidArgument("sunhwan: " + shapes.error());
  if (!ticket_rows) return answer(sunhwan_forward(&call));
  int64_t ticket = 0;
  int status = sunhwan_forward_held(&call, &ticket);
  if (status == SUNHWAN_OK) write_ticket(ticket, call.batch, ticket_rows);
  return answer(status);
}

ffi::Error backward(Options options, Floats inputs, Floats kernel, Floats recurrent_kernel, Floats bias,
                    Floats initial_state, Bools mask, Floats dropout_mask, Floats recurrent_dropout_mask, Floats saved,
                    Floats d_output, Floats d_states, FloatsResult d_inputs, FloatsResult d_kernel,
                    FloatsResult d_recurrent_kernel, FloatsResult d_bias, FloatsResult d_initial_state) {
  Shapes shapes;
  Call call(options, shapes, inputs, kernel, recurrent_kernel, bias, initial_state, mask, dropout_mask,
            recurrent_dropout_mask);
  const float *ticket_rows = call.saved_of(shapes, saved);
  sunhwan_gradients gradients{};
  gradients.d_output = call.output_of(shapes, "d_output", d_output);
  gradients.d_states = shapes.optional("d_states", d_states, {call.states_count, call.batch, call.units});
  gradients.d_inputs = shapes.optional("d_inputs", *d_inputs, {call.batch, call.timesteps, call.features});
  gradients.d_kernel = shapes.optional("d_kernel", *d_kernel, {call.features, call.columns});
  gradients.d_recurrent_kernel =
      shapes.optional("d_recurrent_kernel", *d_recurrent_kernel, {call.units, call.columns});
  gradients.d_bias = call.two_rows() ? shapes.optional("d_bias", *d_bias, {2, call.columns})
                                     : shapes.optional("d_bias", *d_bias, {call.columns});
  gradients.d_initial_state =
      shapes.optional("d_initial_state", *d_initial_state, {call.states_count, call.batch, call.units});
  if (!shapes.error().empty()) return ffi::Error::InvalidArgument("sunhwan: " + shapes.error());
  return answer(sunhwan_backward_held(&call, ticket_rows ? read_ticket(call.batch, ticket_rows) : 0, &gradients));
}

}  // namespace

extern "C" {
SUNHWAN_API XLA_FFI_Error *sunhwan_xla_forward(XLA_FFI_CallFrame *);
SUNHWAN_API XLA_FFI_Error *sunhwan_xla_backward(XLA_FFI_CallFrame *);
}
XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_xla_forward, forward);
XLA_FFI_DEFINE_HANDLER_SYMBOL(sunhwan_xla_backward, backward);
