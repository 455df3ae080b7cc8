# Llama 3 8B, fine-tuned on OpenOrca: what OpenRLHF's example says of the training.
deepspeed --module openrlhf.cli.train_sft \
  --data.dataset Open-Orca/OpenOrca \
  --data.max_samples 500000 \
  --train.batch_size 256 \
  --train.micro_batch_size 2 \
  --train.max_epochs 1 \
  --ds.zero_stage 2 \
  --adam.lr 5e-6
