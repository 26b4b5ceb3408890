"""What must stay the same for a training to go on where the last one ended."""

from numbers import Real


def keep_on_course(mlp, sizes, *, go_on):
    """Note what is trained; going on, take a new step size and refuse another network.

    Parameters
    ----------
    mlp : KerasMLPClassifier
        Its parameters are noted in its `_course`. Going on, its model takes the new step size.
    sizes : tuple of int
        Units of each hidden layer.
    go_on : bool
        Whether training goes on with the model that is there.

    Raises
    ------
    ValueError
        If the network or the optimizer is another than that of the last fit.
    """
    course = {"hidden_layer_sizes": sizes, "activation": mlp.activation}
    course["optimizer"] = mlp.optimizer
    if isinstance(mlp.optimizer, str):
        course |= {"learning_rate": mlp.learning_rate, "momentum": mlp.momentum}
    before = mlp._course if go_on else course
    changed = [name for name in course if course[name] != before.get(name)]
    if changed == ["learning_rate"] and isinstance(mlp.learning_rate, Real):
        mlp.model_.optimizer.learning_rate = mlp.learning_rate
    elif changed:
        raise ValueError(
            f"Training goes on with the network and the optimizer of the last fit, but "
            f"{' and '.join(changed)} changed since: from "
            f"{[before.get(name) for name in changed]} to {[course[c] for c in changed]}. "
            "Fit with warm_start=False to start anew."
        )
    mlp._course = course
