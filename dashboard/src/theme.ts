/** Light or dark: the system's wish unless the reader chose; the choice is kept in the browser. */
import { useEffect, useState } from 'react';

export type Theme = 'light' | 'dark';

const DARK = '(prefers-color-scheme: dark)';

/** The theme shown now, and the function that swaps it. */
export function useTheme(): [Theme, () => void] {
  const [chosen, setChosen] = useState<Theme | undefined>(() => stored());
  const [system, setSystem] = useState<Theme>(() => (matchMedia(DARK).matches ? 'dark' : 'light'));
  useEffect(() => {
    const query = matchMedia(DARK);
    const update = (): void => setSystem(query.matches ? 'dark' : 'light');
    query.addEventListener('change', update);
    return () => query.removeEventListener('change', update);
  }, []);
  const theme = chosen ?? system;
  document.documentElement.dataset.theme = theme;
  const swap = (): void => {
    const next = theme === 'dark' ? 'light' : 'dark';
    setChosen(next);
    localStorage.setItem('theme', next);
  };
  return [theme, swap];
}

function stored(): Theme | undefined {
  const value = localStorage.getItem('theme');
  return value === 'light' || value === 'dark' ? value : undefined;
}
