/** `dabarex chat`: a conversation in the terminal. A model that was only pretrained continues the text so far. */
import { createInterface, type Interface } from 'node:readline';
import { Command } from 'commander';
import type { ChatMessage, EngineClient } from '../../infer/index.ts';
import type { CliContext } from '../context.ts';
import { startEngineForOne } from '../engine.ts';
import { examples } from '../help.ts';
import { findModel } from '../model-folder.ts';
import { addSamplingOptions, type SamplingOptions, samplingOf } from '../sampling.ts';

/** @returns the command `chat` */
export function chatCommand(context: CliContext): Command {
  const command = new Command('chat')
    .description('talk with a trained model; an empty line ends, /new starts again')
    .argument('<model>', 'a run by name or folder, a model folder, or a .gguf file')
    .addHelpText(
      'after',
      examples([
        ['dabarex chat quickstart', 'with the newest checkpoint of a run'],
        ['dabarex chat quickstart --temperature 0.3', 'less adventurous'],
      ]),
    )
    .action((model: string, options: SamplingOptions) => chat(model, options, context));
  return addSamplingOptions(command);
}

async function chat(model: string, options: SamplingOptions, context: CliContext): Promise<void> {
  const { dir, name } = findModel(model, context);
  const engine = await startEngineForOne(dir, options, context);
  const lines = createInterface({
    input: context.stdin,
    output: context.stdout,
    terminal: context.stdin.isTTY,
  });
  try {
    const kind = engine.info.hasChatTemplate
      ? ''
      : ' It was not trained on conversations: it continues the text.';
    context.print(`${name}: ${engine.info.contextLength} tokens of context.${kind} An empty line ends.`);
    await converse(engine, lines, options, context);
  } finally {
    lines.close();
    await engine.close();
  }
}

async function converse(
  engine: EngineClient,
  lines: Interface,
  options: SamplingOptions,
  context: CliContext,
) {
  const { cyan } = context.colors;
  let messages: ChatMessage[] = [];
  // After the end of the input the interface is closed, and a prompt is an error.
  let closed = false;
  lines.once('close', () => {
    closed = true;
  });
  lines.setPrompt(cyan('> '));
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() === '') return;
    if (line.trim() === '/new') messages = [];
    else {
      messages.push({ role: 'user', content: line });
      const answer = await answerTo(engine, messages, options, context);
      messages.push({ role: 'assistant', content: answer });
    }
    if (!closed) lines.prompt();
  }
}

/** Streams the answer; what is too old for the context is forgotten, the last message excepted. */
async function answerTo(
  engine: EngineClient,
  messages: ChatMessage[],
  options: SamplingOptions,
  context: CliContext,
): Promise<string> {
  for (;;) {
    try {
      let answer = '';
      for await (const event of engine.generate({ prompt: { messages }, ...samplingOf(options) })) {
        if (event.type !== 'delta') continue;
        context.stdout.write(event.text);
        answer += event.text;
      }
      context.print();
      return answer;
    } catch (error) {
      const tooLong = (error as { code?: string }).code === 'context_length_exceeded';
      if (!tooLong || messages.length === 1) throw error;
      messages.splice(0, Math.min(2, messages.length - 1));
    }
  }
}
