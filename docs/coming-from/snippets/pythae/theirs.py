# SPDX-License-Identifier: MIT
import torch
from pythae.models import VAE, VAEConfig
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig

torch.manual_seed(0)
x = torch.rand(256, 1, 8, 8)
model = VAE(VAEConfig(input_dim=(1, 8, 8), latent_dim=4, reconstruction_loss="bce"))
config = BaseTrainerConfig(num_epochs=2, per_device_train_batch_size=64, learning_rate=1e-3)
TrainingPipeline(model=model, training_config=config)(train_data=x)
codes = model.embed(x)
restored = model.reconstruct(x[:8])
