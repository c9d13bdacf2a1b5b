"A tiny model of every causal-LM class of the installed transformers, with random weights large enough to show."
import torch
import transformers as tf
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

KINDS = {}    # class -> its first model type
for _kind, _name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items(): KINDS.setdefault(_name, _kind)
CLASSES = sorted(KINDS)

SMALL = dict(vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
             pad_token_id=0, bos_token_id=1, eos_token_id=2)
# what a family calls its sizes; only names that its configuration has are set
SIZES = dict(intermediate_size=64, head_dim=8, max_position_embeddings=512, num_experts=4, n_routed_experts=4,
             num_local_experts=4, moe_num_experts=4, num_experts_per_tok=2, moe_k=2, moe_topk=2, n_group=1,
             topk_group=1,
             moe_intermediate_size=32, shared_expert_intermediate_size=32, moe_shared_expert_intermediate_size=32,
             moe_num_shared_experts=1, moe_latent_size=16, q_lora_rank=16, kv_lora_rank=16, o_lora_rank=16,
             qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, index_head_dim=8, index_n_heads=2, index_topk=8,
             expert_ffn_hidden_size=32, ffn_hidden_size=64, zero_expert_num=1, decoder_layers=2, decoder_ffn_dim=64,
             decoder_attention_heads=4, encoder_layers=2, encoder_ffn_dim=64, encoder_attention_heads=4, d_model=32,
             vocab_size_per_layer_input=264, hidden_size_per_layer_input=8, mamba_num_heads=4, mamba_head_dim=16,
             mamba_n_heads=4, mamba_d_head=16, ssm_state_size=16, mamba_d_state=16, chunk_size=16, n_groups=1,
             mamba_n_groups=1, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
             linear_value_head_dim=8, dense_intermediate_size=64, shared_intermediate_size=32,
             moe_dense_intermediate_size=64)
_DECODER = dict(is_decoder=True)
_NO_EMBEDDING = dict(pronunciation_vocab_size=64, shape_vocab_size=64, pronunciation_embed_dim=8, shape_embed_dim=8)
_LLAMA = dict(vocab_size=264, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=8, max_position_embeddings=512)
_VISION = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, image_size=64)
_TWO_ROPES = {kind: {'rope_type': 'default', 'rope_theta': 1e4} for kind in ('full_attention', 'sliding_attention')}
# what a class needs beside this to be built tiny
MORE = {
    'BltForCausalLM': dict(encoder_hash_byte_group_vocab=64, global_config=_LLAMA, patcher_config=_LLAMA,
                           encoder_config={**_LLAMA, 'hidden_size_global': 32},
                           decoder_config={**_LLAMA, 'hidden_size_global': 32}),
    'CohereCompassForCausalLM': dict(rope_parameters=_TWO_ROPES, layer_types=['sliding_attention', 'full_attention']),
    'DbrxForCausalLM': dict(attn_config=dict(rope_theta=1e4, kv_n_heads=2, clip_qkv=8.),
                            ffn_config=dict(ffn_hidden_size=64, moe_num_experts=4, moe_top_k=2)),
    'Dots1ForCausalLM': dict(n_shared_experts=1, n_routed_experts=4, num_experts_per_tok=2),
    'FalconH1ForCausalLM': dict(mamba_d_ssm=64),
    'Gemma3ForConditionalGeneration': dict(vision_config=_VISION), 'GitForCausalLM': dict(vision_config=_VISION),
    'Gemma3nForCausalLM': dict(layer_types=['sliding_attention', 'full_attention'], intermediate_size=[64, 64],
                               num_kv_shared_layers=0, activation_sparsity_pattern=[0., 0.], laurel_rank=8),
    'GotOcr2ForConditionalGeneration': dict(
        vision_config={**_VISION, 'mlp_dim': 64, 'output_channels': 8, 'window_size': 2, 'global_attn_indexes': [0]},
        text_config={'model_type': 'qwen2', **_LLAMA}),
    'KimiLinearForCausalLM': dict(linear_num_heads=4, linear_head_dim=8),
    'Lfm2ForCausalLM': dict(layer_types=['conv', 'full_attention']),
    'Lfm2MoeForCausalLM': dict(layer_types=['conv', 'full_attention'], num_dense_layers=1),
    'Mamba2ForCausalLM': dict(num_heads=4, head_dim=16, state_size=16),
    'MoshiForCausalLM': dict(ffn_dim=64),
    'CpmAntForCausalLM': dict(dim_head=8, dim_ff=64),
    'Phi4MultimodalForCausalLM': dict(
        vision_config={**_VISION, 'patch_size': 14, 'image_size': 28, 'crop_size': 28},
        audio_config=dict(hidden_size=32, intermediate_size=64, num_blocks=1, num_attention_heads=4,
                          ext_pw_out_channel=32, nemo_conv_channels=8)),
    'XLNetLMHeadModel': dict(d_head=8, d_inner=64, n_layer=2),
    'XmodForCausalLM': dict(is_decoder=True, default_language='en_XX'),
    'ZayaForCausalLM': dict(num_experts_per_tok=1),
    'PLBartForCausalLM': dict(encoder_attention_heads=4, decoder_attention_heads=4),
    'WhisperForCausalLM': dict(encoder_attention_heads=4, decoder_attention_heads=4),
    'GPTNeoForCausalLM': dict(attention_types=[[['global', 'local'], 1]], num_layers=2),
    'ReformerModelWithLMHead': dict(is_decoder=True, axial_pos_embds=False, attn_layers=['local', 'local']),
    'RoCBertForCausalLM': dict(is_decoder=True, **_NO_EMBEDDING),
    'ProphetNetForCausalLM': dict(num_encoder_layers=2, num_decoder_layers=2, num_hidden_layers=None,
                                  num_decoder_attention_heads=4),
    'ZambaForCausalLM': dict(num_hidden_layers=3, layer_types=['linear_attention', 'hybrid', 'hybrid']),
    'Zamba2ForCausalLM': dict(layer_types=['linear_attention', 'hybrid'], hybrid_layer_ids=[1], num_mem_blocks=1),
    **{name: _DECODER for name in ('BertLMHeadModel', 'BertGenerationDecoder', 'CamembertForCausalLM',
       'Data2VecTextForCausalLM', 'ElectraForCausalLM', 'ErnieForCausalLM', 'MegatronBertForCausalLM',
       'BigBirdForCausalLM',
       'RemBertForCausalLM', 'RoFormerForCausalLM', 'RobertaForCausalLM', 'RobertaPreLayerNormForCausalLM',
       'XLMRobertaForCausalLM', 'XLMRobertaXLForCausalLM')}}


def _names(config):
    "What a configuration's class calls its settings."
    return set(config.to_dict()) | set(getattr(config, 'attribute_map', {}))


def _sizes(cls):
    "The settings of `SMALL` and `SIZES` that a configuration class has."
    try: known = _names(cls())
    except Exception: return dict(SMALL)      # it cannot be made without its parts
    return {k: v for k, v in {**SMALL, **SIZES}.items() if k in known or k in SMALL}


def tiny_config(name): # a class of `CLASSES`
    "Its configuration, tiny; sub-configurations too."
    cls = tf.CONFIG_MAPPING[KINDS[name]]
    parts = {part: _sizes(sub) for part, sub in getattr(cls, 'sub_configs', {}).items() if isinstance(sub, type)
             and sub is not tf.AutoConfig and part in ('text_config', 'decoder_config')}
    given = {**_sizes(cls), **parts, **MORE.get(name, {})}
    return cls(**{k: v for k, v in given.items() if v is not None})


def tiny_model(name, device='cpu', std=.2): # a class of `CLASSES`
    "The model of a class with loud random weights, float32: a leak between rows, or a part that is left out, shows."
    torch.manual_seed(0)
    with torch.device(device): model = tf.AutoModelForCausalLM.from_config(tiny_config(name))
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1 and not p.is_meta: torch.nn.init.normal_(p, std=std)
    return model.float().eval()
