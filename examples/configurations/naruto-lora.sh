# Stable Diffusion, fine-tuned with LoRA on Naruto's pictures: diffusers' example.
accelerate launch --mixed_precision="fp16" train_text_to_image_lora.py \
  --pretrained_model_name_or_path=stable-diffusion-v1-5/stable-diffusion-v1-5 \
  --dataset_name=lambdalabs/naruto-blip-captions --resolution=512 \
  --train_batch_size=1 \
  --num_train_epochs=100 --checkpointing_steps=5000 \
  --learning_rate=1e-04 --lr_scheduler="constant" --lr_warmup_steps=0 \
  --validation_prompt="cute dragon creature"
