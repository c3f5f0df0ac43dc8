/** The compiled templates of the distribution's files, as the pure stages see them: functions from data to text. */
import type { FileKind } from './files.ts';

/** Throws whatever the template's own code throws. */
export type Template = (data: object) => string;
export type Templates = Readonly<Record<FileKind, Template>>;
