"What rows of a pack may not do: see each other, in any family that is not refused."
import pytest
import torch
import transformers as tf

from mot_nb.core.errors import MotError
from mot_nb.data.corpora import Row, Trace, pack, render
from mot_nb.student.loss import check_packing, packed_attention, row_losses, token_losses
from mot_nb.student.models import byte_tokenizer, tiny_qwen3

tok = byte_tokenizer()
SMALL = dict(vocab_size=len(tok), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=4)
QUESTIONS = [('What is 3 times 4?', 'Answer: 12'), ('What is 5 plus 7?', 'We add.\nAnswer: 12'), ('6 and 6?', '12')]
ROWS = [render(Trace(str(i), 't', q, a, '12'), tok) for i, (q, a) in enumerate(QUESTIONS)]


def loud(model):
    "A model whose weights are large enough that a leak between rows shows in the loss."
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1: torch.nn.init.normal_(p, std=.2)
    return model.eval()


def family(name, **more):
    model = getattr(tf, 'GPT2LMHeadModel' if name == 'GPT2' else f'{name}ForCausalLM')
    return loud(model(model.config_class(**SMALL | dict(pad_token_id=0, bos_token_id=1, eos_token_id=2) | more)))


@pytest.mark.parametrize('name', ['StableLm', 'Nemotron', 'GPTJ', 'Bloom', 'Falcon', 'RecurrentGemma'])
def test_families_that_cannot_be_packed_are_refused_by_name(name):
    with pytest.raises(MotError, match=name): row_losses(family(name), ROWS)


def test_a_refused_model_keeps_its_own_attention():
    model = family('Nemotron')
    with pytest.raises(MotError): row_losses(model, ROWS)
    assert model.config._attn_implementation == 'sdpa'
    model(torch.arange(5)[None])


@pytest.mark.parametrize('name', ['Llama', 'GPT2', 'Phi', 'Olmo2', 'Gemma3', 'GPTNeoX', 'OPT', 'DiffLlama', 'Cohere'])
def test_a_loss_does_not_depend_on_the_neighbours(name):
    model = family(name)
    alone = [row_losses(model, [r])[0][0] for r in ROWS]
    for micro_tokens in (4096, 100):
        together = [s for s, _ in row_losses(model, ROWS, micro_tokens)]
        assert together == pytest.approx(alone, abs=1e-3)
    assert check_packing(model, ROWS) < 1e-5


def test_value_heads_of_another_width():
    config = tf.DeepseekV3Config(**SMALL, n_routed_experts=4, n_group=1, topk_group=1, num_experts_per_tok=2,
                                 q_lora_rank=16,
                                 kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=12,
                                 moe_intermediate_size=32, first_k_dense_replace=1)
    model = loud(tf.DeepseekV3ForCausalLM(config))
    alone = [row_losses(model, [r])[0][0] for r in ROWS]
    assert [s for s, _ in row_losses(model, ROWS)] == pytest.approx(alone, abs=1e-3)


def test_a_layer_that_swallows_the_lengths_is_found_later_too():
    "The first pass was whole; then one layer no longer hands on where rows end, or does not attend at all."
    model = loud(tiny_qwen3(len(tok)))
    packs = pack(ROWS, 4096)
    token_losses(model, packs[0])
    layer, real = model.model.layers[1], model.model.layers[1].forward
    layer.forward = lambda *a, lengths=None, **kw: real(*a, **kw)
    with pytest.raises(MotError, match='where rows end'): token_losses(model, packs[0])
    layer.forward = lambda hidden_states, *a, **kw: hidden_states
    with pytest.raises(MotError, match='1 of 2 layers'): token_losses(model, packs[0])


def test_positions_that_are_not_looked_at_show_in_the_probe():
    model = loud(tiny_qwen3(len(tok)))
    rotate = model.model.rotary_emb.forward
    def shifted(x, position_ids): return rotate(x, torch.arange(x.shape[1])[None])
    model.model.rotary_emb.forward = shifted
    # rotary positions are relative: a shift of a whole row changes nothing
    assert row_losses(model, ROWS)
    gpt = family('GPT2')
    places = gpt.transformer.wpe
    places.forward = lambda position_ids: places.weight[torch.arange(position_ids.shape[1])][None]
    with pytest.raises(MotError, match='packed and alone'): row_losses(gpt, ROWS)


@pytest.mark.parametrize('rope', [dict(rope_type='dynamic', factor=2.), dict(rope_type='longrope', factor=2.,
                         long_factor=[2.]*4, short_factor=[1.]*4, original_max_position_embeddings=64)])
def test_positions_that_look_at_the_longest_row_are_refused(rope):
    limit = rope.get('original_max_position_embeddings', 128)
    config = tf.LlamaConfig(**SMALL, max_position_embeddings=128, rope_parameters={'rope_theta': 1e4, **rope})
    model = loud(tf.LlamaForCausalLM(config))
    row = lambda i, n: Row(str(i), 't', i, tuple(3 + (7*j + i) % 200 for j in range(n)), 4)
    fits = [row(0, 30), row(1, limit)]
    alone = [row_losses(model, [r])[0][0] for r in fits]
    assert [s for s, _ in row_losses(model, fits)] == pytest.approx(alone, abs=1e-3)
    with pytest.raises(MotError, match='position encoding'): row_losses(model, [row(0, 30), row(1, limit + 1)])


def test_a_batch_is_not_taken_for_a_pack():
    model = loud(tiny_qwen3(len(tok)))
    row_losses(model, ROWS)
    assert model(torch.arange(5)[None]).logits.shape[1] == 5          # one row without lengths is one document
    with pytest.raises(MotError, match='one pack at a time'): model(torch.arange(10).view(2, 5))
    q = torch.randn(1, 4, 5, 8)
    assert packed_attention(None, q, q, q, None, lengths=[2, 3])[0].shape == (1, 5, 4, 8)


def test_checking_leaves_the_model_as_it_was():
    model = loud(tiny_qwen3(len(tok))).train()
    before, state = torch.get_rng_state(), {n: t.clone() for n, t in model.state_dict().items()}
    row_losses(model, ROWS)
    assert all(m.training for m in model.modules()) and torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(t, state[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize('name, more', [('Llama', {}), ('Gemma3', dict(query_pre_attn_scalar=64)),
                                        ('Qwen3', dict(num_key_value_heads=2))])
def test_a_loss_is_that_of_transformers(name, more):
    "Row by row through the family's own attention, its scale and its groups of heads included."
    model = family(name, **more)
    def alone(r):
        ids = torch.tensor([r.input_ids])
        with torch.no_grad(): logits = model(ids).logits[0, r.n_prompt - 1:-1]
        return float(torch.nn.functional.cross_entropy(logits, ids[0, r.n_prompt:], reduction='sum'))
    wanted = list(map(alone, ROWS))
    assert [s for s, _ in row_losses(model, ROWS)] == pytest.approx(wanted, rel=1e-4)


def test_a_head_with_a_bias_in_chunks(monkeypatch):
    "Logits in chunks: the losses and the gradients of head and bias are those of all logits at once."
    from mot_nb.student import loss
    model = loud(tiny_qwen3(len(tok), tied=False))
    model.lm_head.bias = torch.nn.Parameter(torch.randn(len(tok), generator=torch.Generator().manual_seed(0)))
    batch, parts = pack(ROWS, 4096)[0], [model.lm_head.bias, model.lm_head.weight]
    def found():
        losses = token_losses(model, batch)
        return [losses.detach(), *torch.autograd.grad((losses*torch.linspace(.1, 1, len(losses))).sum(), parts)]
    whole = found()
    monkeypatch.setattr(loss, 'HEAD', 5*len(tok))
    for a, b in zip(found(), whole): torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_leak_is_found_at_the_start():
    "A model that was whole when it was first probed, and is not any more."
    gpt = family('GPT2')
    assert check_packing(gpt, ROWS) < 1e-5
    places = gpt.transformer.wpe
    places.forward = lambda position_ids: places.weight[torch.arange(position_ids.shape[1])][None]
    with pytest.raises(MotError, match='packed and alone'): check_packing(gpt, ROWS)


def test_a_row_longer_than_the_window_is_refused():
    longest = max(map(len, ROWS))
    assert row_losses(family('Mistral', sliding_window=longest), ROWS)
    narrow = family('Mistral', sliding_window=longest - 1)
    with pytest.raises(MotError, match='attention window'): row_losses(narrow, ROWS)
