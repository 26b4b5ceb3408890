"""A function of tensors as a compiled graph that runs on few threads."""

from mnist_estimator._collector import collector_paused
from mnist_estimator._tensorflow import function_executor_type, tf

SINGLE_THREADED = "SINGLE_THREADED_EXECUTOR"
# The graphs run as they are written. TensorFlow's rewriting makes no epoch faster, takes 0.03 s a
# graph, knows the shapes of the first variables only, and rounds otherwise: it divides by a
# constant by multiplying.
_AS_WRITTEN = tf.compat.v1.ConfigProto()
_AS_WRITTEN.graph_options.rewrite_options.disable_meta_optimizer = True
# Operations that a GPU has no kernel for run on the processor, as in any TensorFlow function.
_ON_GPU = tf.compat.v1.ConfigProto(allow_soft_placement=True)
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}


class BoundedGraph:
    """A traced function whose operations run one after the other, each on so many threads.

    TensorFlow's thread pools belong to the whole process and stay as they are. On a GPU the graph
    runs without these bounds.

    Parameters
    ----------
    function : callable
        Takes tensors, returns a tuple of tensors.
    inputs : list of tf.Tensor
        What it will be called with: tensors of these types and numbers of axes. The first has as
        many columns.
    device : str
        Where it will run: that of the variables that it works on.
    executor : str, default="SINGLE_THREADED_EXECUTOR"
        TensorFlow's executor; "" is the usual one, which is also taken for graphs with branches:
        those of Keras' learning-rate schedules that rise, for example.

    Attributes
    ----------
    handles : list of tf.Tensor of resource
        Those of the variables that the function uses.
    """

    @collector_paused()
    def __init__(self, function, inputs, device, executor=SINGLE_THREADED):
        specs = [tf.TensorSpec([None] * x.shape.rank, x.dtype) for x in inputs]
        specs[0] = tf.TensorSpec([None, inputs[0].shape[1]], inputs[0].dtype)
        self._device = device
        self._on_gpu = "GPU" in device

        def traced():
            # Tracing for the single-threaded executor keeps loops as one operation each.
            with function_executor_type("" if self._on_gpu else executor):
                return tf.function(function, autograph=False).get_concrete_function(*specs)

        body = traced()
        if executor and _has_branches(body):
            # Where TensorFlow has one thread for graphs, that executor waits for them forever.
            executor = ""
            body = traced()
        self._body = body
        self._types = [output.dtype for output in body.outputs]
        self._shapes = [output.shape for output in body.outputs]
        self._first_variable = tf.Variable(0)
        self.handles = [x for x in body.captured_inputs if x.dtype == tf.resource]

        def in_order(unused, stacked_handles, *inputs):
            _, *handles = tf.unstack(stacked_handles, num=1 + len(self.handles))
            options = {"executor_type": executor, "config_proto": _AS_WRITTEN.SerializeToString()}
            return self._call_body(inputs, handles, **options)

        if not self._on_gpu:
            own = [tf.TensorSpec([], tf.int32), tf.TensorSpec([1 + len(self.handles)], tf.resource)]
            outer = tf.function(in_order, autograph=False)
            self._graph = outer.get_concrete_function(*own, *specs)

    def _call_body(self, inputs, handles, **options):
        handles = iter(handles)
        captured = [
            next(handles) if x.dtype == tf.resource else x for x in self._body.captured_inputs
        ]
        return tf.raw_ops.StatefulPartitionedCall(
            args=[*inputs, *captured], Tout=self._types, f=self._body, **options
        )

    def __call__(self, inputs, handles, n_threads=1):
        """Run the graph.

        Parameters
        ----------
        inputs : list of tf.Tensor
            The arguments.
        handles : list of tf.Tensor of resource
            `handles`, or other variables' in place of its own.
        n_threads : int, default=1
            How many threads one operation may share, of those that TensorFlow has.

        Returns
        -------
        outputs : list of tf.Tensor
            What the function returns.
        """
        if self._on_gpu:
            with tf.device(self._device):
                options = {"config_proto": _ON_GPU.SerializeToString()}
                return self._call_body(inputs, handles, **options)
        # For variables of other shapes TensorFlow would prepare the function anew: 0.07 s for an
        # epoch. It looks behind each handle, but of a tensor of handles behind the first only.
        stacked_handles = tf.stack([self._first_variable.handle, *handles])
        # MapDefun is the operation that bounds the threads of one function. It maps over one
        # unused number here.
        outputs = tf.raw_ops.MapDefun(
            arguments=[tf.constant([0])],
            captured_inputs=[stacked_handles, *inputs, *self._graph.captured_inputs],
            output_types=self._types,
            output_shapes=self._shapes,
            f=self._graph,
            max_intra_op_parallelism=n_threads,
        )
        return [tf.squeeze(output, 0) for output in outputs]


def device_of(model):
    """Return where the variables of a model lie.

    Parameters
    ----------
    model : keras.Model
        The model.

    Returns
    -------
    device : str
        TensorFlow's name of the device.
    """
    return model.trainable_variables[0].value.device


def _has_branches(body):
    """Tell whether a traced function, or one that it calls, chooses among branches."""
    graph = body.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return not _BRANCHES.isdisjoint(node.op for node in nodes)
