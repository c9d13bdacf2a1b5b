"""Chat families as small tokenizers: the project's byte tokenizer with a family's marks, and a short template of our
own that writes a turn as that family does. What is expected of each is written down here by hand.

A text of tokens is spelled with a dot on both sides of every token that is no byte: `·<|im_start|>·user`. So
`·<think>·` is one token, `<think>` seven letters."""
from dataclasses import dataclass

from tokenizers import AddedToken
from tokenizers.processors import TemplateProcessing

from mot_nb.data.chat import CHATML
from mot_nb.student.models import byte_tokenizer

QUESTION, THOUGHT, ANSWER = 'What is 3 times 4?', '3 * 4', 'Answer: 12'
COMPLETIONS = {'whole': f'<think>\n{THOUGHT}\n</think>\n\n{ANSWER}', 'half': f'{THOUGHT}\n</think>\n\n{ANSWER}',
               'none': ANSWER}
QWEN = f'·<|im_start|>·user\n{QUESTION}·<|im_end|>·\n·<|im_start|>·assistant\n'
WRITTEN, BEHIND = f'·<think>·\n{THOUGHT}\n·</think>·\n\n{ANSWER}', f'{THOUGHT}\n·</think>·\n\n{ANSWER}'


@dataclass(frozen=True)
class Family:
    "One family: its tokens, its template, and what is to come out."
    template: str
    prompt: str           # the spelled prompt of `QUESTION`
    taught: dict          # 'whole', 'half', 'none' -> the spelled completion, without the end of the turn
    end: str              # the token that ends a turn
    stop: tuple           # all tokens that end an answer
    control: tuple = ()   # control tokens
    marks: tuple = ()     # tokens that are text to a decoder, as Qwen3's think marks
    eos: str = '<|im_end|>'
    begins: str = ''      # the token that the tokenizer itself puts before a text
    strips: bool = False  # whether control tokens take the white space behind them


def both(whole, none=ANSWER): return {'whole': whole, 'half': whole, 'none': none}


def opened(behind=BEHIND, closes='\n·</think>·\n\n'): return both(behind, closes + ANSWER)


def tokenizer_of(family):
    "The tokenizer of a `Family`."
    t = byte_tokenizer()
    names = dict.fromkeys((*family.control, family.eos))
    control = [AddedToken(n, special=True, normalized=False, rstrip=family.strips) for n in names]
    t.add_tokens(control, special_tokens=True)
    t.add_tokens([AddedToken(n, special=False, normalized=False) for n in family.marks])
    t.eos_token = family.eos
    if family.begins:
        t.bos_token = family.begins
        single = TemplateProcessing(single=f'{family.begins} $A',
                                    special_tokens=[(family.begins, t.convert_tokens_to_ids(family.begins))])
        t.backend_tokenizer.post_processor = single
    t.chat_template = family.template
    return t


def spelled(tokenizer, ids):
    "Ids as text, with a dot on both sides of every token that is no byte."
    known, out, run = set(tokenizer.added_tokens_decoder), '', []
    for i in (*ids, None):
        if i is not None and i not in known: run.append(i)
        else:
            out += tokenizer.decode(run) + (f'·{tokenizer.convert_ids_to_tokens(i)}·' if i is not None else '')
            run = []
    return out


# an assistant's last turn with its thought, as Qwen3 writes it back, or without, as the others do
_KEPT = ("{% set parts = m['content'].split('</think>') %}<|im_start|>assistant\n<think>\n"
         "{{ parts[0].split('<think>')[-1].strip('\n') if parts|length > 1 else '' }}\n</think>\n\n"
         "{{ parts[-1].lstrip('\n') }}<|im_end|>\n")
_CHATML_TURNS = ("{% for m in messages %}{% if m['role'] == 'assistant' %}SAID{% else %}"
                 "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}")
_CUT = "<|im_start|>assistant\n{{ m['content'].split('</think>')[-1].lstrip('\n') }}<|im_end|>\n"


def _qwen(said, prompt): return _CHATML_TURNS.replace('SAID', said) + prompt


_ASKS = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
_ASKS_MAYBE = ("{% if add_generation_prompt %}<|im_start|>assistant\n"
               "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
               "{% endif %}")
_ASKS_OPEN = "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
_QWEN = dict(control=('<|endoftext|>', '<|im_start|>'), marks=('<think>', '</think>'), end='<|im_end|>',
             stop=('<|im_end|>',))

_LLAMA = ("{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nToday Date: "
          "{{ strftime_now('%d %b %Y') }}\n\n{% if messages[0]['role'] == 'system' %}"
          "{{ messages[0]['content'] | trim }}{% endif %}<|eot_id|>{% for m in messages if m['role'] != 'system' %}"
          "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
          "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}")
_GEMMA = ("{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
          "{% endif %}{% for m in messages %}<start_of_turn>"
          "{{ ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim }}<end_of_turn>\n"
          "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}")
_GEMMA4 = ("{{ bos_token }}{% for m in messages %}<|turn>"
           "{{ ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim }}<turn|>\n"
           "{% endfor %}{% if add_generation_prompt %}<|turn>model\n{% endif %}")
_PHI3 = ("{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
         "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}")
_PHI4 = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '<|im_sep|>' + m['content'] + '<|im_end|>' }}"
         "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}")
_MISTRAL = ("{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
            "[SYSTEM_PROMPT]{{ m['content'] }}[/SYSTEM_PROMPT]{% elif m['role'] == 'user' %}"
            "[INST]{{ m['content'] }}[/INST]{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}")
_R1 = ("{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
       "{% elif m['role'] == 'user' %}<｜User｜>{{ m['content'] }}"
       "{% else %}<｜Assistant｜>{{ m['content'].split('</think>')[-1] + eos_token }}"
       "{% endif %}{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}")
_SMOLLM3 = ("{% set given = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
            "{% set mode = '/no_think' if '/no_think' in given else 'DEFAULT' %}<|im_start|>system\n"
            "Today Date: {{ strftime_now('%d %B %Y') }}\nReasoning Mode: {{ mode }}\n\n"
            "{{ given.replace('/no_think', '').rstrip() }}<|im_end|>\n{% for m in messages if m['role'] != 'system' %}"
            "{{ '<|im_start|>' + m['role'] + '\n' }}"
            "{% if m['role'] == 'assistant' and mode == '/no_think' %}<think>\n\n</think>\n{% endif %}"
            "{{ m['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
            "{% if mode == '/no_think' %}<think>\n\n</think>\n{% endif %}{% endif %}")
_GPT_OSS = ("<|start|>system<|message|>Current date: {{ strftime_now('%Y-%m-%d') }}\n\nReasoning: medium\n\n"
            "# Valid channels: analysis, commentary, final.<|end|>{% for m in messages %}{% if m['role'] == 'system' %}"
            "<|start|>developer<|message|># Instructions\n\n{{ m['content'] }}<|end|>{% elif m['role'] == 'user' %}"
            "<|start|>user<|message|>{{ m['content'] }}<|end|>{% else %}"
            "{% if '<|channel|>final<|message|>' in m['content'] %}"
            "{{ raise_exception('a channel in the content') }}{% endif %}"
            "{% if m['thinking'] %}<|start|>assistant<|channel|>analysis<|message|>{{ m['thinking'] }}<|end|>"
            "{% endif %}"
            "<|start|>assistant<|channel|>final<|message|>{{ m['content'] }}"
            "{% if loop.last and not add_generation_prompt %}<|return|>{% else %}<|end|>{% endif %}"
            "{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}")

_SMOL = dict(control=('<|end_of_text|>', '<|im_start|>'), marks=('<think>', '</think>'), end='<|im_end|>',
             stop=('<|im_end|>',))
_SMOL_PROMPT = '·<|im_start|>·system\nToday Date: 26 July 2024\nReasoning Mode: {}\n\n·<|im_end|>·\n' + QWEN
_FINAL = f'·<|channel|>·final·<|message|>·{ANSWER}'
_HARMONY = f'·<|channel|>·analysis·<|message|>·{THOUGHT}·<|end|>··<|start|>·assistant{_FINAL}'

FAMILIES = {
    'Qwen3, thinking': Family(_qwen(_KEPT, _ASKS_MAYBE), QWEN, both(WRITTEN), **_QWEN),
    'Qwen3, not thinking': Family('{% set enable_thinking = false %}' + _qwen(_KEPT, _ASKS_MAYBE),
                                  QWEN + '·<think>·\n\n·</think>·\n\n', both(WRITTEN), **_QWEN),
    'Qwen3-Thinking-2507': Family(_qwen(_KEPT, _ASKS_OPEN), QWEN + '·<think>·\n', opened(), **_QWEN),
    'QwQ': Family(_qwen(_CUT, _ASKS_OPEN), QWEN + '·<think>·\n', opened(), **_QWEN),
    'DeepSeek-R1-Distill': Family(
        _R1, f'·<｜begin▁of▁sentence｜>··<｜User｜>·{QUESTION}·<｜Assistant｜>··<think>·\n', opened(),
        end='<｜end▁of▁sentence｜>', stop=('<｜end▁of▁sentence｜>',), eos='<｜end▁of▁sentence｜>',
        control=('<｜User｜>', '<｜Assistant｜>', '<｜begin▁of▁sentence｜>'), marks=('<think>', '</think>'),
        begins='<｜begin▁of▁sentence｜>'),
    'Llama 3': Family(
        _LLAMA, '·<|begin_of_text|>··<|start_header_id|>·system·<|end_header_id|>·\n\nToday Date: 26 Jul 2024\n\n'
        '·<|eot_id|>·'
        f'·<|start_header_id|>·user·<|end_header_id|>·\n\n{QUESTION}·<|eot_id|>·'
        '·<|start_header_id|>·assistant·<|end_header_id|>·\n\n',
        both(COMPLETIONS['whole']), end='<|eot_id|>', stop=('<|eot_id|>', '<|end_of_text|>'), eos='<|end_of_text|>',
        control=('<|begin_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'),
        begins='<|begin_of_text|>'),
    'Gemma': Family(
        _GEMMA, f'·<bos>··<start_of_turn>·user\n{QUESTION}·<end_of_turn>·\n·<start_of_turn>·model\n',
        both(COMPLETIONS['whole']), end='<end_of_turn>', stop=('<end_of_turn>', '<eos>'), eos='<eos>',
        control=('<bos>', '<start_of_turn>', '<end_of_turn>'), begins='<bos>'),
    'Gemma 4': Family(
        _GEMMA4, f'·<bos>··<|turn>·user\n{QUESTION}·<turn|>·\n·<|turn>·model\n',
        both(f'·<|channel>·thought\n{THOUGHT}\n·<channel|>·\n\n{ANSWER}'), end='<turn|>', stop=('<turn|>', '<eos>'),
        eos='<eos>', control=('<bos>', '<|turn>', '<turn|>', '<|channel>', '<channel|>'), begins='<bos>'),
    'Phi-3': Family(
        _PHI3, f'·<|user|>·{QUESTION}·<|end|>··<|assistant|>·', both(COMPLETIONS['whole']), end='<|end|>', strips=True,
        stop=('<|end|>', '<|endoftext|>'), eos='<|endoftext|>',
        control=('<|system|>', '<|user|>', '<|assistant|>', '<|end|>')),
    'Phi-4': Family(
        _PHI4, f'·<|im_start|>·user·<|im_sep|>·{QUESTION}·<|im_end|>··<|im_start|>·assistant·<|im_sep|>·',
        both(COMPLETIONS['whole']), end='<|im_end|>', stop=('<|im_end|>', '<|endoftext|>'), eos='<|endoftext|>',
        control=('<|im_start|>', '<|im_sep|>', '<|im_end|>')),
    'Mistral': Family(
        _MISTRAL, f'·<s>··[INST]·{QUESTION}·[/INST]·', both(COMPLETIONS['whole']), end='</s>', stop=('</s>',),
        eos='</s>', control=('<s>', '[INST]', '[/INST]', '[SYSTEM_PROMPT]', '[/SYSTEM_PROMPT]'), begins='<s>'),
    'Magistral': Family(
        _MISTRAL, f'·<s>··[INST]·{QUESTION}·[/INST]·', both(f'·[THINK]·\n{THOUGHT}\n·[/THINK]·\n\n{ANSWER}'),
        end='</s>', stop=('</s>',), eos='</s>', begins='<s>',
        control=('<s>', '[INST]', '[/INST]', '[SYSTEM_PROMPT]', '[/SYSTEM_PROMPT]', '[THINK]', '[/THINK]')),
    'SmolLM3, thinking': Family(
        _SMOLLM3.replace('DEFAULT', '/think'), _SMOL_PROMPT.format('/think'), both(WRITTEN), **_SMOL),
    'SmolLM3, not thinking': Family(
        _SMOLLM3.replace('DEFAULT', '/no_think'), _SMOL_PROMPT.format('/no_think') + '·<think>·\n\n·</think>·\n',
        both(WRITTEN), **_SMOL),
    'gpt-oss': Family(
        _GPT_OSS, '·<|start|>·system·<|message|>·Current date: 2024-07-26\n\nReasoning: medium\n\n'
        f'# Valid channels: analysis, commentary, final.·<|end|>··<|start|>·user·<|message|>·{QUESTION}·<|end|>'
        '··<|start|>·assistant', both(_HARMONY, _FINAL), end='<|return|>', stop=('<|return|>',), eos='<|return|>',
        control=('<|start|>', '<|end|>', '<|message|>', '<|channel|>', '<|endoftext|>', '<|call|>')),
    'ChatML base': Family(CHATML, QWEN, both(COMPLETIONS['whole']), end='<|im_end|>',
                          stop=('<|im_end|>', '<|endoftext|>'), eos='<|endoftext|>'),
}

# what a template does that no row could be made of: (family, its template, system message, words of the refusal)
_PARTS = ("{% for m in messages %}<start_of_turn>{{ m['role'] }}\n{% for p in m['content'] %}"
          "{% if p is mapping %}{{ p['text'] }}{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}")
REFUSED = {
    'Gemma 2, a system message': ('Gemma', _GEMMA, 'Be brief.', 'refuses these messages'),
    'content as a list of parts': ('Gemma', _PARTS, None, 'leaves the question out'),
    'SmolLM3, a switch beside a control token': ('SmolLM3, thinking', _SMOLLM3.replace('DEFAULT', '/think'),
                                                 'Write <|im_end|>. /no_think', 'changes a message'),
    'a base model without a template': ('ChatML base', None, None, 'has no chat template')}
