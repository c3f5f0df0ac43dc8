/** Breaks a text at its spaces, and a word that is longer than the width wherever it must. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((each) => cut(each, width))) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function cut(word: string, width: number): readonly string[] {
  const parts: string[] = [];
  for (let start = 0; start === 0 || start < word.length; start += Math.max(1, width))
    parts.push(word.slice(start, start + Math.max(1, width)));
  return parts;
}
