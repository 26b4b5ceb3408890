"""PixelScaler as ONNX nodes."""

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import FloatTensorType

from mnist_estimator.onnx_converters._emitter import Emitter


def scaler_shapes(operator):
    N = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([N, operator.raw_operator.n_features_in_])


def convert_scaler(scope, operator, container):
    """Flatten → Cast → Min → Div: the arithmetic of `PixelScaler.transform`, in float32."""
    scaler, pixels = operator.raw_operator, operator.inputs[0]
    emit = Emitter(scope, container)
    ink = pixels.full_name
    if len(pixels.type.shape) > 2:
        ink = emit("Flatten", ink, axis=1)
    if not isinstance(pixels.type, FloatTensorType):
        ink = emit("Cast", ink, to=TensorProto.FLOAT)
    largest = emit.constant(np.float32(scaler.pixel_max_))
    if scaler.clip:
        # Clipped before the division, so that the division can move into the weights behind it.
        ink = emit("Min", ink, largest)
    emit("Div", ink, largest, output=operator.outputs[0].full_name)
