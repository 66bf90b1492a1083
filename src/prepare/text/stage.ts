/**
 * What a stage of text preparation is: a pure function from documents to documents, and, where it must have seen every document
 * first (duplicates, boilerplate, a trained model), a survey before it.
 *
 *     for each shard, anywhere:     part    = survey.map(documents of the shard)
 *     once, when all parts exist:   summary = survey.merge(parts in the order of the shards)
 *     for each shard, anywhere:     outcome = create(config, summary)(document, {shard, index})
 *
 * A stage reads no files but those it is handed, no clock and no random numbers: shards may be worked on in any order, in threads
 * or on machines, and the result is the same. What is removed does not hang on where the corpus is cut into shards either,
 * as long as their concatenation is the same.
 */
import type { z } from 'zod';
import type { Document } from '../documents.ts';
import type { SourceConfig } from '../source-config.ts';

export interface TextStage<Config> {
  /** kebab-case; as written in recipes and manifests */
  readonly name: string;
  /** raised when the same config and documents give another output than before */
  readonly version: number;
  /** strict, every key with a default where one makes sense; extended by the pipeline with its own keys (`safeExtend`) */
  readonly schema: StageSchema<Config>;
  readonly survey?: Survey<Config>;
  /**
   * The function applied to each document; made once per thread, then called for documents of any shards.
   * @param summary what `survey.merge` gave; present exactly where the stage has a survey
   */
  create(config: Config, summary?: Uint8Array): Transform;
}

export type StageSchema<Config> = z.ZodObject & z.ZodType<Config>;

/** `at` is needed by stages that drop some of several equal documents; others ignore it. */
export type Transform = (document: Document, at: Position) => Outcome | Promise<Outcome>;

/** Where a document stands in the stage's input. */
export interface Position {
  /** the number of its shard, in the order of the parts given to `merge` */
  readonly shard: number;
  /** its number within the shard, in the order in which `map` saw it */
  readonly index: number;
}

export type Outcome =
  | {
      /** the same document or one with other `text` and more `notes`; `id`, `source` and `path` stay, for lineage */
      readonly keep: Document;
      readonly counts?: Counts;
    }
  | {
      /** the reason, snake_case, from a small fixed set: rejects are counted by it */
      readonly reject: string;
      /** the value that decided, or the id of the document it duplicates */
      readonly detail?: string;
      readonly counts?: Counts;
    };

/** What happened within a document, by snake_case name; summed up in the manifest. */
export type Counts = Readonly<Record<string, number>>;

export interface Survey<Config> {
  /** Further texts that the survey reads: labelled examples, evaluation sets. Their hashes belong to the stage's key. */
  sources?(config: Config): readonly SourceConfig[];
  /** What one shard contributes. A survey without it reads only its sources: `merge` gets no parts. */
  map?(documents: Iterable<Document> | AsyncIterable<Document>, config: Config): Promise<Uint8Array>;
  /**
   * What all shards say together.
   * @param partPaths files with what `map` returned, in the order of the shards
   */
  merge(partPaths: readonly string[], config: Config, options: MergeOptions): Promise<Uint8Array>;
  /** figures of a summary for the manifest and the report, by snake_case name: how many lines are dropped, how well a model does */
  describe?(summary: Uint8Array): Figures;
}

/** Figures by snake_case name. */
export type Figures = Readonly<Record<string, number>>;

export interface MergeOptions {
  /** about how much memory the merge may use besides its result */
  readonly memoryBytes: number;
  /** an empty folder for temporary files; the caller removes it */
  readonly workDir: string;
  /** the documents of `sources(config)`, in their order, extracted by their format */
  readonly sources: readonly (Iterable<Document> | AsyncIterable<Document>)[];
  readonly signal?: AbortSignal;
}

/** The document with another text, or itself where the text is the same. */
export function withText(document: Document, text: string): Document {
  return text === document.text ? document : { ...document, text };
}

/** The document with further notes. */
export function withNotes(document: Document, notes: Readonly<Record<string, number | string>>): Document {
  return { ...document, notes: { ...document.notes, ...notes } };
}
