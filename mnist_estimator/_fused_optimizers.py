"""Keras optimizers by TensorFlow's fused kernels: one pass over the memory, not ten."""

from mnist_estimator._tensorflow import keras, tf

# Options of a Keras optimizer that the kernels do not know.
_UNFUSED_OPTIONS = (
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    "amsgrad",
)


def find_kernel(optimizer):
    """Return what updates weights by a fused kernel.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        The optimizer.

    Returns
    -------
    kernel : callable or None
        None where TensorFlow has no kernel for this optimizer, or none that knows its options.
    """
    kernel = _FUSED_KERNELS.get(type(optimizer))
    if kernel is _apply_rmsprop and (optimizer.centered or not optimizer.momentum):
        return None  # TensorFlow's kernel keeps a momentum, which Keras then has no place for
    if any(getattr(optimizer, name, None) for name in _UNFUSED_OPTIONS):
        return None
    return kernel


def apply_gradients(optimizer, gradients, variables):
    """Update the variables as `optimizer` would, by one fused kernel each where there is one.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        A built optimizer.
    gradients : list of tf.Tensor
        One gradient a variable.
    variables : list of keras.Variable
        What to update: all that the optimizer was built for, in that order.

    Notes
    -----
    The kernels compute what Keras' own update computes. Optimizers and options that they do not
    know (clipping, averaging, AMSGrad, ...) take Keras' own update.
    """
    kernel = find_kernel(optimizer)
    if kernel is None:
        optimizer.apply(gradients, variables)
        return
    if optimizer.weight_decay:
        optimizer._apply_weight_decay(variables)
    rate = tf.cast(optimizer._get_current_learning_rate(), tf.float32)
    step = optimizer.iterations.value.assign_add(1, read_value=True)
    kernel(optimizer, gradients, variables, rate, tf.cast(step, tf.float32))


def _apply_adam(optimizer, gradients, variables, rate, step):
    beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
    beta_1_power, beta_2_power = tf.pow(beta_1, step), tf.pow(beta_2, step)
    for index, (gradient, variable) in enumerate(zip(gradients, variables, strict=True)):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle,
            m=optimizer._momentums[index].value.handle,
            v=optimizer._velocities[index].value.handle,
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )


def _apply_sgd(optimizer, gradients, variables, rate, step):
    for index, (gradient, variable) in enumerate(zip(gradients, variables, strict=True)):
        if not optimizer.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.value.handle, alpha=rate, delta=gradient
            )
            continue
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.value.handle,
            accum=optimizer.momentums[index].value.handle,
            lr=rate,
            grad=gradient,
            momentum=optimizer.momentum,
            use_nesterov=optimizer.nesterov,
        )


def _apply_rmsprop(optimizer, gradients, variables, rate, step):
    for index, (gradient, variable) in enumerate(zip(gradients, variables, strict=True)):
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.value.handle,
            ms=optimizer._velocities[index].value.handle,
            mom=optimizer._momentums[index].value.handle,
            lr=rate,
            rho=optimizer.rho,
            momentum=optimizer.momentum,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )


_FUSED_KERNELS = {
    keras.optimizers.Adam: _apply_adam,
    keras.optimizers.AdamW: _apply_adam,
    keras.optimizers.SGD: _apply_sgd,
    keras.optimizers.RMSprop: _apply_rmsprop,
}
