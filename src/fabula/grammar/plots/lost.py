"""A lost thing, found with somebody's help where it was bound to be."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# How a thing gets lost decides what the helper says, and why it was where it was.
ROLLED = {
    "clue": "Round things like to roll. [Let us look where it could have gone|It may be farther away than you think].",
    "reveal": "It had rolled all the way there[ by itself|].",
}
BLOWN = {
    "clue": "The wind was strong last night. [Let us go where the wind went|Maybe the wind has taken it].",
    "reveal": "The wind had carried it [there|there and put it down gently].",
}
TAKEN = {
    "clue": "Look, there are small footprints on the ground! [Let us follow them|Somebody has been here].",
    "reveal": "A [puppy|kitten|playful dog] had [carried it there|taken it there] to [play with it|sleep on it].",
}
LEFT = {
    "clue": "Think hard. [Where did you have it last|Where did you sit down yesterday]?",
    "reveal": "{Hero} had [put it down|left it] there [the day before|on the way home] and forgotten all about it.",
}


def _thing(name: str, a: str, did: str, how: dict[str, str]) -> dict[str, str]:
    return {"name": name, "a": a, "short": name.split()[-1], "did": did, **how}


lost = lexicon(
    "lost",
    _thing("red ball", "a red ball", "bounced it [high|a hundred times]", ROLLED),
    _thing("glass marble", "a glass marble", "held it up to the light", ROLLED),
    _thing("spinning top", "a spinning top", "let it spin [on the floor|until it sang]", ROLLED),
    _thing("wooden wheel", "a wooden wheel", "rolled it [along|up and down] with a stick", ROLLED),
    _thing("lucky coin", "a lucky coin", "polished it [until it shone|with care]", ROLLED),
    _thing("blue kite", "a blue kite", "flew it [high in the sky|in the wind]", BLOWN),
    _thing("straw hat", "a straw hat", "wore it [proudly|in the sun]", BLOWN),
    _thing("paper crown", "a paper crown", "wore it and played king and queen", BLOWN),
    _thing("silk scarf", "a yellow silk scarf", "danced with it", BLOWN),
    _thing("paper lantern", "a paper lantern", "hung it [by the window|over {his} bed]", BLOWN),
    _thing("teddy bear", "an old teddy bear", "told it all {his} secrets", TAKEN),
    _thing("woolen mitten", "a warm woolen mitten", "wore it [like a puppet|on {his} left hand]", TAKEN),
    _thing("rag doll", "a rag doll", "sang to it", TAKEN),
    _thing("green slipper", "a soft green slipper", "used it as a little boat", TAKEN),
    _thing("toy rabbit", "a toy rabbit with long ears", "took it for a walk", TAKEN),
    _thing("silver whistle", "a silver whistle", "blew it [three times|as loudly as {he} could]", LEFT),
    _thing("picture book", "a picture book about animals", "read it [aloud|from the first page to the last]", LEFT),
    _thing("toy train", "a toy train", "drove it around the table", LEFT),
    _thing("little drum", "a little drum", "played a [merry|lively] tune on it", LEFT),
    _thing("wooden sword", "a wooden sword", "fought with dragons that nobody else could see", LEFT),
    _thing("music box", "an old music box", "listened to its song", LEFT),
)

RULES = """
lost:
- <lost love> <lost gone>[ <lost search>|] <lost help> <lost found>[2: <lost thanks>|]

lost love:
- {His} favorite thing in the whole world was {new lost.a}.<lost every day>
- {Hero} had {new lost.a}, and {he} loved it very much.<lost every day>
- More than anything else, {hero} loved {his} {new lost}.<lost every day>
- Wherever {hero} went, {his} {new lost} went, too.
- For {his} birthday, {hero} had been given {new lost.a}.<lost every day>

lost every day:
- [2:| Every day, {he} {lost.did}.| Sometimes {he} {lost.did}, just for fun.]

lost gone:
- <One day>, the {lost.short} was gone. <lost cry>
- But <one day>, {he} could not find it. <lost cry>
- <One day>, {hero} reached for the {lost.short}, but it was not there. <lost cry>
- Then something sad happened: <one day>, the {lost.short} disappeared. <lost cry>

lost cry:
- "Where is my {lost}?" {he} [asked|wondered].
- "Oh no!" cried {hero}. "My {lost} is gone!"
- "I had it yesterday," {he} said [sadly|slowly].
- "It cannot just walk away," {he} said, and {his} lip began to tremble.
- "Have you seen my {lost}?" {he} asked everybody, but nobody had.
- {Hero} felt a lump in {his} throat.

lost search:
- {He} looked {place.near}, but [it was not there|there was nothing but <a trifle>].
- First {he} looked under {his} bed and found <a trifle>. Then {he} looked {place.near}. Nothing!
- {He} searched {place.near}. {He} found <a trifle>, but no {lost.short}.
- {He} turned {his} whole room upside down. Then {he} went {place.way} and looked {place.near}, but it was no use.
- Was it under the pillow? No. Was it {place.near}? No, it was not there either.

a trifle:
- an old sock
- a rusty key
- a snail shell
- half a cookie
- a broken pencil
- a gray feather
- a wooden spoon
- dust and a button

lost help:
- {new Helper.first} saw {him} and [stopped|sat down beside {him}]. "<why sad>" asked {helper}. <lost answer>
- Just then, {new helper.first} came by. "<why sad>" {helper} asked. <lost answer>
- At last, {hero} ran to {new helper.first}. "Please help me," {he} said. "My {lost} is lost."
  {Helper} thought for a moment. "{lost.clue}"
- {He} sat down and cried a little, until {new helper.first} heard {him}. "<why sad>" asked {helper}. <lost answer>

why sad:
- Why are you so sad?
- What is the matter?
- What has happened?
- Why do you look so unhappy?

lost answer:
- "I have lost my {lost}," [said|answered|whispered] {hero}. "<comfort>," said {helper}. "{lost.clue}"
- "I cannot find my {lost}," said {hero}. "I have looked everywhere." {Helper} thought for a moment. "{lost.clue}"

comfort:
- Do not worry
- Do not cry
- We will find it
- Two can look better than one

lost found:
- They went {place.way} [together|hand in hand] and looked {place.far}. <lost there> {lost.reveal}
- Together they searched, and soon {helper} pointed at something {place.far}. <lost there> {lost.reveal}
- So they looked and looked. And what did they see {place.far}? <lost there> {lost.reveal}
- They searched [high and low|everywhere]. "I see something!" called {helper}. {Hero} ran to
  look {place.far}. <lost there> {lost.reveal}

lost there:
- It was the {lost}!
- There was the {lost}!
- There it was, safe and sound!

lost thanks:
- "Thank you, {helper}!" cried {hero}.[ {He} hugged {helper.him} tightly.|]
- {Hero} jumped for joy. "You are the best helper in the world," {he} told {helper}.
- {Hero} laughed with joy. Right away, {he} {lost.did}.
- "I am so happy," said {hero}, and {helper} was happy, too.

lost end:
- From that day on, {he} always put the {lost.short} back in its place.
- {Hero} promised to take better care of it.
- That evening, the {lost.short} lay right next to {his} pillow.
- Now {hero} knew that lost things are easier to find when somebody helps.
- They played together until the sun went down.
"""
