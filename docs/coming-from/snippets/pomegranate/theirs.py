# SPDX-License-Identifier: MIT
import torch
from pomegranate.distributions import Normal
from pomegranate.gmm import GeneralMixtureModel

torch.manual_seed(0)
x = torch.cat([torch.randn(300, 2), torch.randn(200, 2) + 6.0])
components = [Normal(covariance_type="diag"), Normal(covariance_type="diag")]
mixture = GeneralMixtureModel(components, random_state=0, tol=1e-3).fit(x)
labels = mixture.predict(x)
result = mixture.log_probability(x).mean()
