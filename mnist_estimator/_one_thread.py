"""A function of tensors as a compiled graph that runs on one thread."""

from mnist_estimator._tensorflow import function_executor_type, tf

SINGLE_THREADED = "SINGLE_THREADED_EXECUTOR"
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}


class OneThreadGraph:
    """A traced function whose operations run one after the other, on one thread.

    TensorFlow's thread pools belong to the whole process and stay as they are. Where TensorFlow
    sees a GPU the graph is placed there, without the bound.

    Parameters
    ----------
    function : callable
        Takes tensors, returns a tuple of tensors.
    inputs : list of tf.Tensor
        What it will be called with: tensors of these types and numbers of axes. The first has as
        many columns.
    executor : str, default="SINGLE_THREADED_EXECUTOR"
        TensorFlow's executor; "" is the usual one, which is also taken for graphs with branches:
        those of Keras' learning-rate schedules that rise, for example.

    Attributes
    ----------
    captured : list of tf.Tensor
        What the function uses beside its arguments: constants, and handles of variables.
    """

    def __init__(self, function, inputs, executor=SINGLE_THREADED):
        specs = [tf.TensorSpec([None] * x.shape.rank, x.dtype) for x in inputs]
        specs[0] = tf.TensorSpec([None, inputs[0].shape[1]], inputs[0].dtype)
        self._on_gpu = bool(tf.config.list_logical_devices("GPU"))

        def traced():
            # Tracing for the single-threaded executor keeps loops as one operation each.
            with function_executor_type("" if self._on_gpu else executor):
                return tf.function(function, autograph=False).get_concrete_function(*specs)

        body = traced()
        if executor and _has_branches(body):
            # Where TensorFlow has one thread for graphs, that executor waits for them forever.
            executor = ""
            body = traced()
        self._types = [output.dtype for output in body.outputs]
        self._shapes = [output.shape for output in body.outputs]

        def in_one_thread(unused, *arguments):
            return tf.raw_ops.StatefulPartitionedCall(
                args=[*arguments, *body.captured_inputs],
                Tout=self._types,
                f=body,
                executor_type=executor,
            )

        self._graph = body
        if not self._on_gpu:
            outer = tf.function(in_one_thread, autograph=False)
            self._graph = outer.get_concrete_function(tf.TensorSpec([], tf.int32), *specs)
        self.captured = self._graph.captured_inputs

    def __call__(self, inputs, captured):
        """Run the graph.

        Parameters
        ----------
        inputs : list of tf.Tensor
            The arguments.
        captured : list of tf.Tensor
            `captured`, or other variables' handles in place of its own.

        Returns
        -------
        outputs : list of tf.Tensor
            What the function returns.
        """
        arguments = [*inputs, *captured]
        if self._on_gpu:
            return tf.raw_ops.StatefulPartitionedCall(
                args=arguments, Tout=self._types, f=self._graph
            )
        # MapDefun is the operation that bounds the threads of one function. It maps over one
        # unused number here.
        outputs = tf.raw_ops.MapDefun(
            arguments=[tf.constant([0])],
            captured_inputs=arguments,
            output_types=self._types,
            output_shapes=self._shapes,
            f=self._graph,
            max_intra_op_parallelism=1,
        )
        return [tf.squeeze(output, 0) for output in outputs]


def _has_branches(body):
    """Tell whether a traced function, or one that it calls, chooses among branches."""
    graph = body.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return not _BRANCHES.isdisjoint(node.op for node in nodes)
